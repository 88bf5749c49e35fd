"""Launch: what one sweep is asked to do, from the command line to Ray.

Each part is checked where it is made; what depends on the machines (is there a GPU, is there room)
is checked by sweeps.engine.cluster. Contents: Compute, Recordings, Resources, `stack`, LogTo,
Launch.
"""

from dataclasses import dataclass, replace

from scaling import optional
from scaling.settings import Trial
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from sweeps.adaptive.early_stopping import Rule
from sweeps.study import Study

HOURS = 100_000  # that a trial may take at most: eleven years
SIDE_BY_SIDE = 16  # trials on a GPU, unless told; those that do not fit into its memory are halved


@dataclass(frozen=True)
class Compute:
    """What a trial computes with."""

    device: str = "auto"
    precision: str = "auto"
    frontend: str = "auto"  # backend of scaling.sound.frontends
    capture: str = "auto"  # of scaling.machine.Machine


@dataclass(frozen=True)
class Recordings:
    """Where clips come from and how they are read."""

    root: str | None = None  # of the dataset, where it was named
    reading: Reading = AS_IT_IS
    skip_unreadable: bool = False


AS_GIVEN = Recordings()


@dataclass(frozen=True)
class Resources:
    """What Ray is asked for, and what a trial may take. Raises ValueError for what cannot be."""

    address: str | None = None  # of a running cluster; None: this machine
    cpus: int = 1  # of one trial, and the threads of its torch
    gpus: float = 0.0  # of one trial
    concurrent: int | None = None  # trials at once at most
    local_cpus: int | None = None  # of this machine, where Ray is started here; None: all
    memory: int | None = None  # bytes that a trial may hold; None: what its node has
    hours: float | None = None  # that an attempt at a trial may take; None: any
    stack: int = 1  # trials that train side by side at most, on what one trial takes
    mps: bool = False  # whether trials that share a GPU compute on it at once

    def __post_init__(self) -> None:
        gpus, hours = self.gpus, self.hours
        if not (0 <= gpus <= 1 or (gpus > 0 and gpus.is_integer())):
            raise ValueError(
                f"--gpus-per-trial {gpus:g} must be a share of one GPU, such as 0.25, or a "
                "whole number"
            )
        if self.mps and not 0 < gpus < 1:
            raise ValueError(
                f"--mps with --gpus-per-trial {gpus:g}: MPS is for trials that share a GPU: set a "
                "share of one, as --gpus-per-trial 0.25"
            )
        if self.mps and self.address is not None:
            raise ValueError(
                "--mps with --address: start MPS on the cluster's nodes before Ray, and trials use "
                "it there"
            )
        if hours is not None and not 0 < hours <= HOURS:
            raise ValueError(
                f"--hours-per-trial {hours:g} must be above 0 and at most {HOURS:,}; leave it "
                "out for no limit"
            )

    def of_a_trial(self) -> dict[str, float]:
        """What one trial takes of its node, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory or 0}


def stack(text: str, gpus: float) -> int:
    """How many trials `--stack` trains side by side, where each takes so many GPUs: on a CPU, which
    is busy with one, each is alone unless told. Raises ValueError for what is no number of trials.
    """
    if text == "auto":
        return SIDE_BY_SIDE if gpus else 1
    if text == "off":
        return 1
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 1000:
        raise ValueError(f"--stack {text[:20]} must be auto, off, or a number from 1 to 1,000")
    return int(text)


@dataclass(frozen=True)
class LogTo:
    """Where metrics go besides the records. Raises ValueError where a package is missing."""

    tensorboard: str | None = None  # folder
    mlflow: str | None = None  # tracking URI, or folder
    wandb: str | None = None  # project

    def __post_init__(self) -> None:
        for extra, where in vars(self).items():
            if where is not None:
                optional.need(extra, f"--{extra}")


NOWHERE = LogTo()


@dataclass(frozen=True)
class Launch:
    """One sweep: the trials of a study, where they run and where their records go."""

    study: Study
    trials: tuple[Trial, ...]  # as changed and repeated; of a search its BASE
    results: str  # folder or URI
    compute: Compute
    recordings: Recordings
    resources: Resources
    rule: Rule | None = None  # stops trials early
    retry_failed: bool = False
    log_to: LogTo = NOWHERE
    plain: bool = False  # lines in place of a live display

    @property
    def computing(self) -> Compute:
        """What workers compute with: the GPU that each is given, and no processor where that is
        lost.
        """
        on_gpus = self.resources.gpus and self.compute.device == "auto"
        return replace(self.compute, device="cuda") if on_gpus else self.compute
