"""`overhear sweep` and `overhear studies`.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from scaling.cli import (
    Capture,
    Column,
    Device,
    FrontendBackend,
    GroupFrom,
    Json,
    Limit,
    Precision,
    Root,
    Skip,
    pairs,
)
from scaling.typed import filled, number, whole


def _study_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from sweeps.study import names

    return [name for name in names() if name.startswith(incomplete)]


def studies(
    count: Annotated[
        bool,
        typer.Option(
            "--count", help="Also count each study's trials (takes seconds; implied by --json)."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the shipped studies with their questions and sources."""
    from sweeps.study import shipped

    for study in shipped():
        if as_json:
            facts = {"name": study.name, "question": study.question, "source": study.source}
            counts = {"trials": study.size, "claims": len(study.claims)}
            typer.echo(json.dumps(facts | counts))
        else:
            size = f" ({study.size} trials)" if count else ""
            typer.echo(f"{study.name}{size}\n  {study.question}\n  {study.source}")


def sweep(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A shipped study (see overhear studies) or your own Python file.",
            autocompletion=_study_names,
        ),
    ],
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use this dataset instead of the study's.")
    ] = None,
    root: Root = None,
    column: Column = None,
    group_from: GroupFrom = None,
    out: Annotated[
        str | None, typer.Option(help="Results folder or URI (default: results/STUDY).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of every trial; repeatable."
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Run every trial with seeds 0 to N-1."),
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Stop weak trials early: asha or median; none overrides the study's rule.",
        ),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add repeats until the study's claims are decided (at most 5 % false decisions).",
        ),
    ] = False,
    at_most: Annotated[
        int | None,
        typer.Option(
            parser=whole(1),
            metavar="N",
            help="With --until-decided: total repeats (default: 12, judged at 3, 5, 8 and 12).",
        ),
    ] = None,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the trials and predict their time; run none.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            parser=number,
            metavar="G",
            help="With --dry-run: assume G x 10^9 multiply-adds per second instead of measuring.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run failed trials again.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Head of a running Ray cluster, or auto (default: start a private Ray here).",
        ),
    ] = None,
    cpus_per_trial: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="CPU cores per trial.")
    ] = 1,
    gpus_per_trial: Annotated[
        float,
        typer.Option(
            parser=number, metavar="X", help="GPUs per trial; with 0.25, four trials share one."
        ),
    ] = 0.0,
    memory_per_trial: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory limit, such as 4GiB; a trial that exceeds it is retried once, then fails.",
        ),
    ] = None,
    hours_per_trial: Annotated[
        float | None,
        typer.Option(
            parser=number,
            metavar="X",
            help="Time limit; a trial that exceeds it fails and keeps its checkpoint.",
        ),
    ] = None,
    max_concurrent: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Run at most N trials at once."),
    ] = None,
    mps: Annotated[
        bool,
        typer.Option("--mps", help="Let trials that share a GPU compute at once (NVIDIA MPS)."),
    ] = False,
    stack: Annotated[
        str,
        typer.Option(
            metavar="auto|N|off",
            help="Trials of one shape that train side by side, on what one takes; auto: up to 16 "
            "on a GPU, else off.",
        ),
    ] = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    frontend_backend: FrontendBackend = "auto",
    capture: Capture = "auto",
    skip_unreadable: Skip = False,
    tensorboard: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Also write metrics as TensorBoard files.")
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI|FOLDER", help="Also log metrics to MLflow.")
    ] = None,
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Also log metrics to Weights & Biases.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Print plain lines instead of a live display.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study's missing trials on Ray Tune and record them in a results folder."""
    if sys.stderr.isatty() or not dry_run:  # what is imported now takes a second or two
        print("planning the study", file=sys.stderr, flush=True)  # not its name: it is unchecked
    from scaling.results import limits as costs
    from scaling.results.records import Results
    from scaling.sound import frontends
    from scaling.sound.datasets.reading import reading
    from sweeps.adaptive import early_stopping
    from sweeps.adaptive import until_decided as until
    from sweeps.dry_run import dry_run as show_trials
    from sweeps.engine import cluster, limits
    from sweeps.launch import Compute, Launch, LogTo, Recordings, Resources
    from sweeps.launch import stack as side_by_side
    from sweeps.run import run, run_until_decided
    from sweeps.study import find, trials_of
    from sweeps.timing.launch_forecast import check_speed

    filled(data=data, root=root, out=out, address=address, tensorboard=tensorboard)
    filled(mlflow=mlflow, wandb=wandb)
    filled(device=device, precision=precision)
    check_speed(speed)
    compute = Compute(device, precision, frontend_backend, capture)
    resources = Resources(
        address,
        cpus_per_trial,
        gpus_per_trial,
        max_concurrent,
        memory=limits.memory_per_trial(memory_per_trial) if memory_per_trial is not None else None,
        hours=hours_per_trial,
        stack=side_by_side(stack, 0.0 if device == "cpu" else gpus_per_trial),
        mps=mps,
    )
    cluster.check(resources, compute)
    found = find(study)
    changes = pairs(settings) | ({"sound.dataset": data} if data else {})
    launch = Launch(
        found,
        tuple(trials_of(found, changes, repeats)),
        out or f"results/{found.name}",
        compute,
        Recordings(root, reading(column, group_from), skip_unreadable),
        resources,
        early_stopping.named(stop, found.stopping),
        retry_failed,
        LogTo(tensorboard, mlflow, wandb),
        plain,
    )
    course = None
    if until_decided:
        if launch.rule:
            raise ValueError("--until-decided compares whole trials: --stop none")
        own = until.Own(found.name, found.claims, partial(trials_of, found, changes))
        where, seeds = Results(launch.results), {trial.seed for trial in launch.trials}
        course = until.asked(own, where, repeats, at_most, len(seeds))
        launch = replace(launch, trials=course.upcoming)
    elif at_most is not None:
        raise ValueError(f"--at-most {at_most}: only --until-decided has a budget, name it too")
    costs.check(launch.trials, costs.parsed(limit or ()), root, launch.recordings.reading)
    for features in {trial.sound.features for trial in launch.trials}:
        frontends.backend_for(features, frontend_backend)
    if dry_run:
        show_trials(launch, speed, as_json, course)
        return
    if speed is not None:
        raise ValueError(f"--speed {speed:g}: only --dry-run predicts times, name it too")
    if not (run_until_decided(launch, course) if course else run(launch)):
        raise typer.Exit(1)
