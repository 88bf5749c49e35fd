"""`overhear train`, `data`, `settings` and `recipes`: one trial here, and what it can be made of.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
import shlex
import textwrap
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.typed import filled, whole

if TYPE_CHECKING:
    from scaling.results.manifest import Price
    from scaling.settings import Trial


def _setting_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from scaling.settings import leaves

    return [f"{name}=" for name in leaves() if name.startswith(incomplete)]


def _recipe_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from scaling.settings.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings to change, such as network.width=64 (see overhear settings).",
        autocompletion=_setting_names,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="The dataset's folder (default: looked for in OVERHEAR_DATA)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, float32 or bfloat16.")]
FrontendBackend = Annotated[
    str,
    typer.Option(help="Library for the features: auto, overhear, torchaudio or nnaudio."),
]
Capture = Annotated[
    str,
    typer.Option(
        metavar="auto|off",
        help="Replay training steps as CUDA graphs: auto, on a GPU where a trial allows it. Not "
        "measured on a GPU yet.",
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="OURS=YOURS",
        help="Your name for a column of the manifest, such as label=species; repeatable.",
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Keep clips in one fold if the first group matches the same text in their paths.",
    ),
]
Skip = Annotated[
    bool,
    typer.Option("--skip-unreadable", help="Skip unreadable recordings and print how many."),
]
Recipe = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Settings to start from (see overhear recipes).",
        autocompletion=_recipe_names,
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|COST=VALUE",
        help="Refuse trials that cost more: dcase (128,000 parameters, 30 million multiply-adds "
        "as the challenge counts), or as parameters=50000; repeatable.",
    ),
]
Threads = Annotated[int, typer.Option(parser=whole(0), metavar="N", help="CPU threads (0: all).")]

data = typer.Typer(help="List, describe, download or check a dataset.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Dataset (see overhear data list).")]


def pairs(settings: list[str] | None) -> dict[str, str]:
    """`key=value` words as a mapping. Raises ValueError for a word without `=`, and for a key that
    has two values.
    """
    found: dict[str, str] = {}
    for word in settings or []:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word}: settings are written key=value, as network.width=64")
        if found.get(key, value) != value:
            raise ValueError(f"{key} is set to {found[key]} and to {value}: name it once")
        found[key] = value
    return found


def train(
    settings: Settings = None,
    recipe: Recipe = "quickstart",
    root: Root = None,
    column: Column = None,
    group_from: GroupFrom = None,
    out: Annotated[str, typer.Option(help="Results folder or URI.")] = "results/train",
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = 0,
    frontend_backend: FrontendBackend = "auto",
    capture: Capture = "auto",
    skip_unreadable: Skip = False,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trial's size and cost; train nothing.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Profile one epoch; record nothing else."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train one trial on this machine, without Ray."""
    from scaling import machine
    from scaling.results import leaks, limits
    from scaling.results.manifest import plan, price_unseen
    from scaling.results.records import Results
    from scaling.settings import changed
    from scaling.settings.recipes import find
    from scaling.sound import frontends, prepare
    from scaling.sound.datasets.reading import reading
    from scaling.sound.download import remedy

    filled(root=root, out=out, device=device, precision=precision)
    if profile and dry_run:
        raise ValueError("--dry-run trains nothing and --profile trains two epochs: name one")
    # before what takes long
    here = machine.here(device, precision, threads, frontend_backend, capture)
    trial = changed(find(recipe, f"--recipe {recipe}"), pairs(settings))
    frontends.backend_for(trial.sound.features, frontend_backend)
    read = reading(column, group_from)
    limits.check([trial], limits.parsed(limit or ()), root, read)
    clips, missing = (
        prepare.at_hand([trial], root, read) if dry_run else (prepare.scan([trial], root, read), {})
    )
    if missing:
        _dry_run(trial, price_unseen(trial), {}, as_json)
        for name, reason in missing.items():
            typer.echo(f"missing: {reason}{remedy(name)}", err=True)
        return
    taught_by = leaks.recorded(Results(out), trial.objective.sources)
    tables = {name: each.table for name, each in clips.items()}
    planned = plan("train", [trial], tables, taught_by)
    if dry_run:
        parts = {f"{name}_clips": count for name, count in planned.parts[0].items()}
        if taught := planned.teaching(0):
            parts |= {"teachers_macs": taught}
        _dry_run(trial, planned.prices[0], {"train_macs": planned.work(0), **parts}, as_json)
        return
    if profile:
        from scaling import profile_command

        profile_command.run(planned, clips, out, here, skip_unreadable)
        return
    _train(planned, clips, out, here, skip_unreadable)


def _dry_run(
    trial: Any, price: "Price | None", of_training: Mapping[str, int], as_json: bool
) -> None:
    """What a trial and its training cost; only its name where nobody knows how many classes."""
    from scaling.settings.label import trial_labels

    facts: dict[str, Any] = {"trial": trial.id, "label": trial_labels([trial])[trial.id]}
    if price:
        facts |= price.facts() if as_json else _told(price.facts())
    facts |= of_training
    _print_facts(facts, as_json)
    if price and not as_json:
        _print_parts(price.cost)


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A price for a reader: what pruning leaves only where it cuts, and the sizes in one line."""
    dense, sparse, size = (facts[f"{which}bytes"] for which in ("dense_", "sparse_", ""))
    told: dict[str, Any] = {n: v for n, v in facts.items() if not n.endswith("bytes")}
    if sparse == dense:
        told = {name: value for name, value in told.items() if not name.startswith("kept_")}
        return told | {"bytes": dense}
    return told | {"bytes": f"{dense:,} dense, {sparse:,} sparse, {size:,} compacted"}


def _train(planned: Any, clips: Any, out: str, here: Any, skip_unreadable: bool) -> None:
    from scaling.results import alone
    from scaling.results.manifest import counted
    from scaling.results.records import Results
    from scaling.results.run_trial import HEADLINE, headline
    from scaling.settings.label import trial_labels

    results = Results(out)
    (trial,) = planned.trials
    running = alone.begin(planned, clips, results, here, skip_unreadable)
    called = f"{trial_labels([trial])[trial.id]} ({trial.id})"
    typer.echo(f"trial {called} on {here.name}, {here.precision_name}")
    for line in counted(planned.parts):
        typer.echo(line)
    whose = HEADLINE[headline(trial)]
    for progress in running:
        heard = ""
        if progress.accuracy is not None:
            heard = f", accuracy {progress.accuracy:.3f} on {whose}"
        state = f"epoch {progress.epoch}/{progress.epochs}{heard}, {progress.seconds:.1f} s"
        typer.echo(f"{progress.status}: {state}" if progress.status.ended else state)
        if progress.error:
            raise ValueError(f"trial {called} failed: {progress.error}")
    typer.echo(f"records in {results.where}")
    typer.echo(f"next: overhear analyze {shlex.quote(results.where)}")


def compute_maps(
    results: str,
    trials: list[str],
    wanted: tuple[str, str, str | None],
    root: str | None,
    where: tuple[str, str, int],
    read: tuple[list[str] | None, str | None] = (None, None),
) -> str:
    """Compute missing ERF maps, printing a line for each; returns the split that they are of."""
    from scaling import machine
    from scaling.receptive_field import runs as maps
    from scaling.results.records import Results
    from scaling.settings.label import trial_labels
    from scaling.sound.datasets.reading import reading

    folder = Results(results)
    chosen = maps.trials(folder, trials)
    asked = maps.Wanted(*wanted)
    splits = {asked.split or maps.usual_split(trial) for trial in chosen}
    if len(splits) > 1:
        raise ValueError(
            f"these trials are scored on {', '.join(sorted(splits))}: name one --split"
        )
    labels = trial_labels(chosen)
    say_own(chosen)
    found = maps.compute(folder, chosen, asked, machine.here(*where), root, reading(*read))
    for number, (trial, computed) in enumerate(found, start=1):
        if computed:
            named = f"{labels[trial.id]} ({trial.id})"
            typer.echo(f"{number}/{len(chosen)} {named}: map computed", err=True)
    return splits.pop()


def say_own(trials: "Iterable[Trial]") -> None:
    """Name the code of a person's own that trials import, on standard error."""
    from scaling.own import parts

    for place in parts.places(kind for trial in trials for kind in trial.own):
        typer.echo(f"runs code of your own: {place}", err=True)


def recipes(as_json: Json = False) -> None:
    """List the recipes that overhear train starts from."""
    from scaling.settings.recipes import ABOUT

    for name, about in ABOUT.items():
        typer.echo(json.dumps({"name": name, "about": about}) if as_json else f"{name}\n  {about}")


def settings(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[PREFIX]", help="List only settings that start with this, such as network."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """List every setting of a trial with its type, default, bounds and meaning."""
    from scaling.settings.catalog import catalog

    for each in catalog(prefix):
        if as_json:
            typer.echo(json.dumps(each._asdict()))
            continue
        facts = [each.type, each.bound, "required" if each.required else ""]
        if not each.required:
            facts[-1] = f"default {_written(each.default)}"
        facts.append(each.whose)
        typer.echo(_wrapped(f"{each.name}: {'; '.join(filter(None, facts))}"))
        if each.meaning:
            typer.echo(_wrapped(f"    {each.meaning}"))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 80, subsequent_indent="    ", break_on_hyphens=False)


def _written(value: Any) -> str:
    """A default as a person would type it."""
    if value in ((), ""):
        return "empty"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            value = "unknown" if value is None else value
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
    """List the datasets."""
    from scaling.sound.datasets import DATASETS

    for dataset in DATASETS.values():
        if as_json:
            typer.echo(json.dumps({"name": dataset.name, "about": dataset.about}))
        else:
            typer.echo(f"{dataset.name:20}{dataset.about}")


@data.command()
def describe(
    name: Name,
    root: Root = None,
    column: Column = None,
    group_from: GroupFrom = None,
    as_json: Json = False,
) -> None:
    """Count a dataset's clips by class, fold and device, and describe their files."""
    from scaling.sound import datasets, inspection, prepare
    from scaling.sound.clips import UNUSED
    from scaling.sound.datasets import headers, sources
    from scaling.sound.datasets.reading import reading

    prepare.name_own(name)
    clips = datasets.scan(name, root, reading(column, group_from))
    table = clips.table
    facts: dict[str, Any] = {
        "dataset": name,
        "root": str(clips.root),
        "layout": clips.layout or "as published",
        "clips": len(table),
        "digest": inspection.named_digest(clips),
    }
    for fact in ("label", "fold", "device", "city", "speaker"):
        counts = table[fact].dropna().astype(str).value_counts().sort_index()
        counts = counts[counts.index != ""]
        if len(counts):
            shown = {str(UNUSED): "unused"} if fact == "fold" else {}
            facts[fact] = {shown.get(str(v), str(v)): int(n) for v, n in counts.items()}
    facts["sources"] = int(table.loc[table["source"] != "", "source"].nunique())
    if datasets.find(name).folders is not None:
        facts |= headers.facts(clips)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _print_description(facts)
    if line := sources.warning(table):
        warnings.warn(line, stacklevel=1)


def _print_description(facts: dict[str, Any]) -> None:
    """Facts line by line; then a table of each class and device."""
    parts = {fact[3:]: facts.pop(fact) for fact in [*facts] if fact.startswith("by_")}
    looked = facts.pop("headers", facts["clips"])
    if looked < facts["clips"]:
        typer.echo(f"headers of the first {looked:,} of {facts['clips']:,} clips were read")
    for fact, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{word} {count}" for word, count in value.items())
        typer.echo(f"{fact:8} {value}")
    for column, rows in parts.items():
        typer.echo(
            f"{column:24}{'clips':>8}{'min s':>9}{'median s':>10}{'max s':>9}  rates, channels"
        )
        for name, row in rows.items():
            lengths = row.get("seconds", dict.fromkeys(("min", "median", "max"), float("nan")))
            heard = [f"{rate} Hz" for rate in row.get("rates", ())]
            heard += [f"{number} ch" for number in row.get("channels", ())]
            heard += [f"{row['unread']} unread"] if "unread" in row else []
            typer.echo(
                f"{name or '(unknown)':24}{row['clips']:8,}{lengths['min']:9.2f}"
                f"{lengths['median']:10.2f}{lengths['max']:9.2f}  {', '.join(heard)}"
            )


@data.command()
def download(
    name: Name,
    to: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Parent folder (default: OVERHEAR_DATA, else data)."),
    ] = None,
) -> None:
    """Download, verify and unpack a dataset; resumes an interrupted download."""
    from scaling.sound import download as downloads

    for line in downloads.download(name, to):
        typer.echo(line)


@data.command()
def check(
    name: Name,
    root: Root = None,
    column: Column = None,
    group_from: GroupFrom = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check names and counts only; decode nothing.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also verify every byte of the packed copy in the cache.")
    ] = False,
) -> None:
    """Decode every clip, report bad files, and compare the counts with the published ones."""
    from scaling.sound import datasets, inspection, prepare
    from scaling.sound.datasets import sources
    from scaling.sound.datasets.reading import reading

    if quick and deep:
        raise ValueError("--quick reads no file and --deep reads all: name one of them")
    prepare.name_own(name)
    report = datasets.check(name, root)
    for line in report.lines:
        typer.echo(line)
    if report.problem:
        raise ValueError(report.problem)
    clips = datasets.scan(name, root, reading(column, group_from))
    if clips.layout:
        typer.echo(f"layout: {clips.layout}")
    if line := sources.warning(clips.table):
        warnings.warn(line, stacklevel=1)
    if quick:
        typer.echo(inspection.glimpse(clips))
        return
    found = inspection.inspect(clips, deep=deep)
    for line in found.lines:
        typer.echo(line)
    if found.problems:
        raise ValueError("; ".join(found.problems))
    typer.echo(found.summary)
