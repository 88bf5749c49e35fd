"""`overhear data`: list, describe, download or check a dataset.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
import warnings
from typing import Annotated, Any

import typer

from scaling.commands.app import App
from scaling.commands.groups import grouped
from scaling.commands.options import ClipOptions, Json
from scaling.typed import folder

app = App(help="List, describe, download or check a dataset.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Dataset (see overhear data list).")]


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the datasets."""
    from scaling.sound.datasets import DATASETS

    for dataset in DATASETS.values():
        if as_json:
            typer.echo(json.dumps({"name": dataset.name, "about": dataset.about}))
        else:
            typer.echo(f"{dataset.name:20}{dataset.about}")


@app.command()
@grouped
def describe(name: Name, where: ClipOptions, as_json: Json = False) -> None:
    """Count a dataset's clips by class, fold and device, and describe their files."""
    where.check_dataset(name)  # before libraries that take seconds to import
    from scaling.sound import datasets, inspection, prepare
    from scaling.sound.clip_table import UNUSED
    from scaling.sound.datasets import headers, sources

    prepare.name_own(name)
    clips = datasets.scan(name, where.root, where.reading)
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


@app.command()
def download(
    name: Name,
    to: Annotated[
        str | None,
        typer.Option(
            parser=folder,
            metavar="DIR",
            help="Parent folder (default: OVERHEAR_DATA, else data).",
        ),
    ] = None,
) -> None:
    """Download, verify and unpack a dataset; resumes an interrupted download."""
    from scaling.sound import download as downloads

    for line in downloads.download(name, to):
        typer.echo(line)


@app.command()
@grouped
def check(
    name: Name,
    where: ClipOptions,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check names and counts only; decode nothing.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also verify every byte of the packed copy in the cache.")
    ] = False,
) -> None:
    """Decode every clip, report bad files, and compare the counts with the published ones."""
    if quick and deep:
        raise ValueError("--quick reads no file and --deep reads all: name one of them")
    where.check_dataset(name)  # before libraries that take seconds to import
    from scaling.sound import datasets, inspection, prepare
    from scaling.sound.datasets import sources

    prepare.name_own(name)
    report = datasets.check(name, where.root)
    for line in report.lines:
        typer.echo(line)
    if report.problem:
        raise ValueError(report.problem)
    clips = datasets.scan(name, where.root, where.reading)
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
