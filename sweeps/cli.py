"""`overhear sweep` and `overhear studies`.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.commands.groups import grouped
from scaling.commands.options import RECORDINGS, TRIALS, ClipOptions, Json, Limit, Skip
from scaling.typed import folder
from sweeps.options import (
    ComputeOptions,
    ForecastOptions,
    LogOptions,
    ResourceOptions,
    TrialOptions,
)

if TYPE_CHECKING:
    from sweeps.adaptive.until_decided import Until
    from sweeps.launch import Launch


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


@grouped
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
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use this dataset instead of the study's.",
            rich_help_panel=RECORDINGS,
        ),
    ] = None,
    *,
    where: ClipOptions,
    out: Annotated[
        str | None,
        typer.Option(
            parser=folder, metavar="FOLDER", help="Results folder or URI (default: results/STUDY)."
        ),
    ] = None,
    which: TrialOptions,
    limit: Limit = None,
    forecast: ForecastOptions,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Run failed trials again.",
            rich_help_panel=TRIALS,
        ),
    ] = False,
    each: ResourceOptions,
    used: ComputeOptions,
    skip_unreadable: Skip = False,
    log: LogOptions,
    plain: Annotated[
        bool, typer.Option("--plain", help="Print plain lines instead of a live display.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study's missing trials on Ray Tune and record them in a results folder."""
    if sys.stderr.isatty() or not forecast.dry_run:  # what is imported now takes a second or two
        print("planning the study", file=sys.stderr, flush=True)  # not its name: it is unchecked
    from sweeps.study import find, trials_of

    # what a person may have mistyped, before what takes seconds to import
    _check(which, forecast)
    found = find(study)
    trials = tuple(trials_of(found, which.changes(data), which.repeats))
    from scaling.results import limits as costs
    from scaling.sound import frontends
    from sweeps.adaptive import early_stopping
    from sweeps.dry_run import dry_run
    from sweeps.engine import cluster
    from sweeps.launch import Launch, Recordings
    from sweeps.run import run, run_until_decided

    most = costs.parsed(limit or ())
    compute, resources = used.compute(), each.resources(used.device)
    cluster.check(resources, compute)
    launch = Launch(
        found,
        trials,
        out or f"results/{found.name}",
        compute,
        Recordings(where.root, where.reading, skip_unreadable),
        resources,
        early_stopping.named(which.stop, found.stopping),
        retry_failed,
        log.log_to(),
        plain,
    )
    course = _course(launch, which, data)
    if course:
        launch = replace(launch, trials=course.upcoming)
    costs.check(launch.trials, most, where.root, launch.recordings.reading)
    for features in {trial.sound.features for trial in launch.trials}:
        frontends.backend_for(features, used.frontend_backend)
    if forecast.dry_run:
        dry_run(launch, forecast.speed, as_json, course)
        return
    cluster.reach(resources)
    if not (run_until_decided(launch, course) if course else run(launch)):
        raise typer.Exit(1)


def _check(which: TrialOptions, forecast: ForecastOptions) -> None:
    """Raises ValueError for an option without the one that it belongs to."""
    if which.at_most is not None and not which.until_decided:
        raise ValueError(
            f"--at-most {which.at_most} needs --until-decided: add it, or leave it out"
        )
    if forecast.speed is not None and not forecast.dry_run:
        raise ValueError(f"--speed {forecast.speed:g} needs --dry-run: add it, or leave it out")


def _course(launch: "Launch", which: TrialOptions, data: str | None) -> "Until | None":
    """The looks at a study's claims, where it runs until they are decided."""
    if not which.until_decided:
        return None
    if launch.rule:
        raise ValueError("--until-decided needs trials that run to their end: add --stop none")
    from scaling.results.records import Results
    from sweeps.adaptive import until_decided as until
    from sweeps.study import trials_of

    study, seeds = launch.study, {trial.seed for trial in launch.trials}
    repeated = partial(trials_of, study, which.changes(data))
    own = until.Own(study.name, study.claims, repeated)
    return until.asked(own, Results(launch.results), which.repeats, which.at_most, len(seeds))
