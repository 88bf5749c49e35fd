"""Options of `overhear sweep`, in groups; each makes the part of a Launch that it is about.

Heavy libraries are imported when the command runs, so that help is instant. Contents: TrialOptions,
ForecastOptions, ResourceOptions, ComputeOptions, LogOptions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from scaling.commands.options import (
    COMPUTATION,
    TRIALS,
    Capture,
    Device,
    FrontendBackend,
    Precision,
    pairs,
)
from scaling.typed import bounded, folder, pair, whole, word

if TYPE_CHECKING:
    from sweeps.launch import Compute, LogTo, Resources


@dataclass(frozen=True)
class TrialOptions:
    """Which trials of a study run, and what ends them before their last epoch or repeat."""

    HEADING: ClassVar[str] = TRIALS

    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            parser=pair,
            metavar="KEY=VALUE",
            help="Change a setting of every trial; repeatable.",
        ),
    ] = None
    repeats: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Run every trial with seeds 0 to N-1."),
    ] = None
    stop: Annotated[
        str | None,
        typer.Option(
            parser=word("asha", "median", "none"),
            metavar="RULE",
            help="Stop weak trials early: asha or median; none overrides the study's rule.",
        ),
    ] = None
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add repeats until the study's claims are decided (at most 5 % false decisions).",
        ),
    ] = False
    at_most: Annotated[
        int | None,
        typer.Option(
            parser=whole(1),
            metavar="N",
            help="With --until-decided: total repeats (default: 12, judged at 3, 5, 8 and 12).",
        ),
    ] = None

    def changes(self, data: str | None) -> dict[str, str]:
        """Settings that every trial changes. Raises ValueError."""
        return pairs(self.settings) | ({"sound.dataset": data} if data else {})


@dataclass(frozen=True)
class ForecastOptions:
    """Whether times are predicted and nothing runs."""

    HEADING: ClassVar[str] = "Forecast"

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the trials and predict their time; run none.")
    ] = False
    speed: Annotated[
        float | None,
        typer.Option(
            parser=bounded(least=1e-6, most=1e9),  # a microcontroller, all machines
            metavar="G",
            help="With --dry-run: assume G x 10^9 multiply-adds per second instead of measuring.",
        ),
    ] = None


@dataclass(frozen=True)
class ResourceOptions:
    """Where trials run, and what each may take."""

    HEADING: ClassVar[str] = "Where trials run"

    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Head of a running Ray cluster, or auto (default: start a private Ray here).",
        ),
    ] = None
    cpus_per_trial: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="CPU cores per trial.")
    ] = 1
    gpus_per_trial: Annotated[
        float,
        typer.Option(
            parser=bounded(least=0),
            metavar="X",
            help="GPUs per trial; with 0.25, four trials share one.",
        ),
    ] = 0.0
    memory_per_trial: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit, such as 4GiB; a trial that exceeds it is retried once, then fails.",
        ),
    ] = None
    hours_per_trial: Annotated[
        float | None,
        typer.Option(
            parser=bounded(above=0, most=100_000),
            metavar="X",
            help="Time limit; a trial that exceeds it fails and keeps its checkpoint.",
        ),
    ] = None
    max_concurrent: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Run at most N trials at once."),
    ] = None
    mps: Annotated[
        bool,
        typer.Option("--mps", help="Let trials that share a GPU compute at once (NVIDIA MPS)."),
    ] = False
    stack: Annotated[
        str,
        typer.Option(
            metavar="auto|N|off",
            help="Trials of one shape that train side by side, on what one takes; auto: up to 16 "
            "on a GPU, else off.",
        ),
    ] = "auto"

    def resources(self, device: str) -> "Resources":
        """What Ray is asked for, for trials on such a device. Raises ValueError."""
        from sweeps.engine import limits
        from sweeps.launch import Resources, stack

        memory = self.memory_per_trial
        return Resources(
            self.address,
            self.cpus_per_trial,
            self.gpus_per_trial,
            self.max_concurrent,
            memory=limits.memory_per_trial(memory) if memory is not None else None,
            hours=self.hours_per_trial,
            stack=stack(self.stack, 0.0 if device == "cpu" else self.gpus_per_trial),
            mps=self.mps,
        )


@dataclass(frozen=True)
class ComputeOptions:
    """What a trial computes with."""

    HEADING: ClassVar[str] = COMPUTATION

    device: Device = "auto"
    precision: Precision = "auto"
    frontend_backend: FrontendBackend = "auto"
    capture: Capture = "auto"

    def compute(self) -> "Compute":
        """The same, as a launch has it."""
        from sweeps.launch import Compute

        return Compute(self.device, self.precision, self.frontend_backend, self.capture)


@dataclass(frozen=True)
class LogOptions:
    """Where metrics go besides the records."""

    HEADING: ClassVar[str] = "Loggers"

    tensorboard: Annotated[
        str | None,
        typer.Option(
            parser=folder, metavar="FOLDER", help="Also write metrics as TensorBoard files."
        ),
    ] = None
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI|FOLDER", help="Also log metrics to MLflow.")
    ] = None
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Also log metrics to Weights & Biases.")
    ] = None

    def log_to(self) -> "LogTo":
        """The same, as a launch has it. Raises ValueError where a package is missing."""
        from sweeps.launch import LogTo

        return LogTo(self.tensorboard, self.mlflow, self.wandb)
