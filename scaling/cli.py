"""`overhear train` and `overhear data ...`: one trial here, and what there is to train on.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
from typing import Annotated, Any

import typer

Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, as network.width=64."),
]
Root = Annotated[str | None, typer.Option(help="Where the dataset lies (default: OVERHEAR_DATA).")]
Json = Annotated[bool, typer.Option("--json", help="The same facts as JSON lines.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
Skip = Annotated[bool, typer.Option(help="Leave unreadable recordings out and say how many.")]

data = typer.Typer(help="Datasets: list, describe, download, check.", no_args_is_help=True)


def pairs(settings: list[str] | None) -> dict[str, str]:
    """`key=value` words as a mapping. Raises ValueError for a word without `=`."""
    found = {}
    for word in settings or []:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word}: settings are written key=value, as network.width=64")
        found[key] = value
    return found


def train(
    settings: Settings = None,
    recipe: Annotated[str, typer.Option(help="Which settings to start from.")] = "quickstart",
    root: Root = None,
    out: Annotated[str, typer.Option(help="Results folder or URI.")] = "results/train",
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all.")] = 0,
    skip_unreadable: Skip = False,
    dry_run: Annotated[bool, typer.Option(help="Its cost only; trains nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Train one trial, here, without Ray, from a recipe."""
    from scaling.config import changed, nearest
    from scaling.plan import plan
    from scaling.recipes import RECIPES
    from scaling.sound import prepare

    if recipe not in RECIPES:
        raise ValueError(f"--recipe {recipe}: not a recipe{nearest(recipe, RECIPES)}")
    trial = changed(RECIPES[recipe], pairs(settings))
    clips = prepare.scan([trial], root)
    planned = plan("train", [trial], {name: each.table for name, each in clips.items()})
    (cost,) = planned.costs
    if dry_run:
        (kept,) = planned.kept_weights
        facts = {"trial": trial.id, "kept_weights": kept, **cost._asdict()}
        del facts["parts"]
        _print_facts(facts, as_json)
        if not as_json:
            _print_parts(cost)
        return
    _train(planned, clips, out, (device, precision, threads), skip_unreadable)


def _train(
    planned: Any, clips: Any, out: str, where: tuple[str, str, int], skip_unreadable: bool
) -> None:
    from scaling import machine
    from scaling.perform import HEADLINE, headline, perform
    from scaling.plan import record
    from scaling.records import Results
    from scaling.sound import prepare

    here = machine.here(*where)  # first: what it refuses leaves no folder behind
    results = Results(out)
    results.prepare()
    (trial,) = planned.trials
    stores = prepare.stores([trial], clips, skip_unreadable)
    (store,) = stores.values()
    record(planned, prepare.digests(planned.trials, stores), results)
    typer.echo(f"trial {trial.id} on {here.name}, {here.precision_name}, {len(store.table)} clips")
    whose = HEADLINE[headline(trial)]
    try:
        for progress in perform(trial, store, here, results):
            heard = ""
            if progress.accuracy is not None:
                heard = f", accuracy {progress.accuracy:.3f} on {whose}"
            state = f"epoch {progress.epoch}/{progress.epochs}{heard}, {progress.seconds:.1f} s"
            typer.echo(state if progress.status == "running" else f"{progress.status}: {state}")
            if progress.error:
                raise ValueError(f"trial {trial.id} failed: {progress.error}")
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on behind the last epoch shown", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"records in {results.where}")


def compute_maps(
    results: str,
    trials: list[str],
    wanted: tuple[str, str, str | None],
    root: str | None,
    where: tuple[str, str, int],
) -> str:
    """Compute the ERF maps that are missing, with a word for each; the split that they are of."""
    from scaling import machine, maps
    from scaling.records import Results

    folder = Results(results)
    chosen = maps.trials(folder, trials)
    asked = maps.Wanted(*wanted)
    splits = {asked.split or maps.usual_split(trial) for trial in chosen}
    if len(splits) > 1:
        raise ValueError(
            f"these trials are scored on {', '.join(sorted(splits))}: name one --split"
        )
    found = maps.compute(folder, chosen, asked, machine.here(*where), root)
    for number, (trial, computed) in enumerate(found, start=1):
        if computed:
            typer.echo(f"{number}/{len(chosen)} {trial.id}: computed", err=True)
    return splits.pop()


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:16} {value:,}" if isinstance(value, int) else f"{name:16} {value}")


def _print_parts(cost: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "map", box=None)
    for column in ("parameters", "weights", "multiply-adds"):
        table.add_column(column, justify="right")
    for part in cost.parts:
        shape = f"{part.map[0]} x {part.map[1]}"
        numbers = (f"{n:,}" for n in (part.parameters, part.weights, part.macs))
        table.add_row(part.name, shape, *numbers)
    Console().print(table)


@data.command("list")
def list_datasets(as_json: Json = False) -> None:
    """What can be trained on."""
    from scaling.sound.datasets import DATASETS

    for dataset in DATASETS.values():
        if as_json:
            typer.echo(json.dumps({"name": dataset.name, "about": dataset.about}))
        else:
            typer.echo(f"{dataset.name:20}{dataset.about}")


@data.command()
def describe(name: str, root: Root = None, as_json: Json = False) -> None:
    """How many clips there are of each class, fold and device."""
    from scaling.sound import datasets
    from scaling.sound.clips import UNUSED

    clips = datasets.scan(name, root)
    table = clips.table
    facts: dict[str, Any] = {
        "dataset": name,
        "root": str(clips.root),
        "clips": len(table),
        "digest": clips.digest,
    }
    for column in ("label", "fold", "device", "city", "speaker"):
        counts = table[column].dropna().astype(str).value_counts().sort_index()
        counts = counts[counts.index != ""]
        if len(counts):
            shown = {str(UNUSED): "unused"} if column == "fold" else {}
            facts[column] = {shown.get(str(v), str(v)): int(n) for v, n in counts.items()}
    facts["sources"] = int(table.loc[table["source"] != "", "source"].nunique())
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for fact, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{word} {count}" for word, count in value.items())
        typer.echo(f"{fact:8} {value}")


@data.command()
def download(
    name: str,
    to: Annotated[
        str | None, typer.Option(help="Folder to put it in (default: OVERHEAR_DATA, else data).")
    ] = None,
) -> None:
    """Fetch a dataset, verify and unpack it; stopped, the same command goes on where it was."""
    from scaling.sound import download as downloads

    for line in downloads.download(name, to):
        typer.echo(line)


@data.command()
def check(
    name: str,
    root: Root = None,
    quick: Annotated[bool, typer.Option(help="Names and counts only; decode nothing.")] = False,
) -> None:
    """Compare a dataset with what was published, decode every clip, name what cannot be read."""
    from scaling.sound import datasets
    from scaling.sound.store import unreadable

    report = datasets.check(name, root)
    for line in report.lines:
        typer.echo(line)
    if report.problem:
        raise ValueError(report.problem)
    clips = datasets.scan(name, root)
    bad = {} if quick else unreadable(clips)
    for clip, reason in bad.items():
        typer.echo(f"{clip}: {reason}")
    if bad:
        raise ValueError(f"{len(bad)} of {len(clips.table)} clips cannot be read")
    readable = "none decoded" if quick else "all readable"
    typer.echo(f"{name}: {len(clips.table)} clips, {readable}, digest {clips.digest}")
