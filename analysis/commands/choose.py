"""`overhear choose`: which model within a budget, as a table for people and lines for programs.

Heavy libraries are imported inside the functions, so that help is instant. Contents:
BudgetOptions, choose.
"""

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from analysis import console, files
from analysis.commands.options import Joined, ScoreOptions
from scaling.commands.groups import grouped
from scaling.typed import folder

if TYPE_CHECKING:
    import pandas as pd

    from analysis.choose import ModelChoice
    from analysis.data import Data
    from analysis.listing import Listing

BEST, CHEAPEST = "best", "cheapest as good"
FEW = 5  # trial ids that are printed


@dataclass(frozen=True)
class BudgetOptions:
    """What a model may cost, and how good it has to be."""

    HEADING: ClassVar[str] = "Budget"

    most: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="COST=N",
            help="Upper limit on parameters, kept_parameters, kept_weights, macs, dcase_macs, "
            "bytes (float32, without cut channels), dense_bytes, sparse_bytes, receptive_field or "
            "latency_ms. Repeatable; the first decides which candidate is cheapest.",
        ),
    ] = None
    least: Annotated[
        list[str] | None,
        typer.Option(
            "--min",
            metavar="SPLIT=SHARE",
            help="Lower limit on the accuracy on a split, such as unseen=0.7. Repeatable.",
        ),
    ] = None
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Published limits: dcase (128,000 parameters, one byte each in int8; 30 million "
            "multiply-adds, counted as the challenge does). --max overrides them.",
        ),
    ] = ""

    def limits(self) -> dict[str, float]:
        """The most of each cost; what is named overrides the preset's. Raises ValueError."""
        return _preset(self.preset) | _numbers("--max", self.most, "macs=30e6")

    def floors(self) -> dict[str, float]:
        """The least accuracy on each split, a fraction. Raises ValueError."""
        return _numbers("--min", self.least, "unseen=0.7")


@grouped
def choose(
    results: Joined,
    *,
    budget: BudgetOptions,
    on: Annotated[
        str,
        typer.Option(metavar="SPLIT", help="Split that decides; test clips make it optimistic."),
    ] = "validation",
    machine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Machine whose latencies count (default: the one that measured most trials).",
        ),
    ] = "",
    scored: ScoreOptions,
    out: Annotated[
        str | None,
        typer.Option(
            parser=folder,
            metavar="FOLDER",
            help="Local folder for the table as CSV. Default: not written.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print all candidates, not only the first 20.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the candidates as JSON lines, the best first.")
    ] = False,
) -> None:
    """Choose the best model within a budget, by validation clips, and the cheapest as good."""
    # what may be mistyped, before libraries that take seconds to import
    limits, floors = budget.limits(), budget.floors()
    from analysis import choose as choosing
    from analysis import selectors
    from scaling.results.records import Results

    folders = [Results(each) for each in results]
    place = files.folder(folders, out) if out is not None else None
    data = scored.opened(folders, machine)
    choice = choosing.choose(data, limits, floors, on)
    marked = _marked(choice)
    aside = sys.stderr if json else sys.stdout
    if json:
        print(*console.json_lines(marked, {}), sep="\n")
        print(choice.reason, file=aside)
    else:
        console.show(console.listed(_listing(choice, marked), every, "choose.csv with --out"))
        console.show(console.lines(["", choice.reason]))
    for line in choosing.amounts(choice.candidates, selectors.parsed(scored.where or ())):
        print(line, file=aside)
    for line in _made_again(choice, data):
        print(line, file=aside)
    if place is not None:
        with files.writing(place):
            files.write_csv(marked, place / "choose.csv")
        print(f"candidates: {place / 'choose.csv'}", file=aside)


def _preset(name: str) -> dict[str, float]:
    from scaling.results.presets import PRESETS
    from scaling.spelling import nearest

    if name and name not in PRESETS:
        raise ValueError(f"--preset {name}: no such preset{nearest(name, PRESETS)}")
    return {**PRESETS[name]} if name else {}


def _numbers(option: str, words: list[str] | None, example: str) -> dict[str, float]:
    """`NAME=NUMBER` words as a mapping, in their order. Raises ValueError for anything else."""
    from scaling.typed import NUMBER

    found: dict[str, float] = {}
    for word in words or []:
        name, _, text = word.partition("=")
        if not (name and NUMBER.fullmatch(text)):
            raise ValueError(f"{option} {word!r:.60}: write NAME=NUMBER, as {option} {example}")
        if name in found:
            raise ValueError(f"{option} {name} is given twice: name it once")
        found[name] = float(text)
    return found


def _marked(choice: "ModelChoice") -> "pd.DataFrame":
    """The candidates with a first column `choice`: what each was chosen as, if it was."""
    found = choice.candidates
    chosen = ["" for _ in found.index]
    chosen[0] = BEST
    place = int(found.index[found["label"] == choice.cheapest["label"]][0])
    chosen[place] = BEST if place == 0 else CHEAPEST
    marked = found.copy()
    marked.insert(0, "choice", chosen)
    return marked


def _listing(choice: "ModelChoice", marked: "pd.DataFrame") -> "Listing":
    """The candidates as a table: scores on the clips that chose, then on held-out ones, costs."""
    from analysis.aggregate import split_order
    from analysis.listing import Column, Listing

    rows = marked.to_dict("records")
    names = [str(name) for name in marked]
    splits = [n.removesuffix("_unit") for n in names if n.endswith("_unit")]
    shown = [(choice.on, "")]
    shown += [(s, s) for s in sorted(splits, key=split_order) if s != choice.on]
    columns = []
    for split, prefix in shown:
        made = [_scored(row, prefix) for row in rows]
        columns.append(Column(f"{split} %", tuple(each[0] for each in made)))
        edges = tuple(each[1] for each in made)
        heading = f"95 % {split}" if prefix else "95 %"
        columns.append(Column(heading, edges, optional=bool(prefix)))
        columns.append(Column(f"n on {split}", tuple(each[2] for each in made), folds=True))
    costs = list(dict.fromkeys([choice.cost, "kept_parameters", "macs"]))
    for name in costs:
        cells = tuple(f"{row[name]:,.15g}" for row in rows)
        columns.append(Column(name, cells, optional=name != choice.cost))
    about = (
        Column("configuration", tuple(row["label"] for row in rows), left=True, folds=True),
        Column("chosen as", tuple(row["choice"] for row in rows), left=True, folds=True),
    )
    best = rows[0]
    value, limits, counted = _scored(best, "")
    between = f" ({counted})" if limits == "-" else f" ({limits}, over {counted})"
    result = f"{best['label']}, {value} % of the {choice.on} clips right{between}"
    return Listing("best", result, about, tuple(columns))


def _scored(row: dict[Any, Any], split: str) -> tuple[str, str, str]:
    """A mean, its interval in percent, and its units; a dash for what there is not."""
    from analysis.aggregate import ACCURACY

    value, low, high, n, unit = (
        row[f"{split}_{name}" if split and name != "value" else split or name]
        for name in ("value", "low", "high", "n", "unit")
    )
    if math.isnan(value):
        return "-", "-", "-"
    between = "-" if math.isnan(low) else f"{ACCURACY.text(low)} to {ACCURACY.text(high)}"
    return ACCURACY.text(value), between, f"{n:g} {unit}"


def _held_out(choice: "ModelChoice", row: dict[Any, Any]) -> str:
    """`unseen 71.3 % (67.9 to 74.6 over 5 folds)`, of each split that did not choose."""
    said = []
    for name in choice.candidates:
        split = str(name).removesuffix("_unit")
        if split not in (name, choice.on) and not math.isnan(row[split]):
            value, between, counted = _scored(row, split)
            limits = counted if between == "-" else f"{between} over {counted}"
            said.append(f"{split} {value} % ({limits})")
    return ", ".join(said)


def _made_again(choice: "ModelChoice", data: "Data") -> list[str]:
    """Of the best and of the cheapest: the settings that tell it from the others, its trials, and
    the command that trains the first of them again.
    """
    from analysis import again

    manifest = data.manifest.set_index("trial", drop=False)
    known = {*choice.candidates}
    lines = []
    for chosen, row in ((BEST, choice.best), (CHEAPEST, choice.cheapest)):
        if chosen == CHEAPEST and row["label"] == choice.best["label"]:
            continue
        told = [n for n in map(str, manifest) if n in known and "." in n]
        said = " ".join(f"{name}={row[name]}" for name in told)
        trials = row["trials"].split()
        more = f" and {len(trials) - FEW} more" if len(trials) > FEW else ""
        lines.append(f"\n{chosen}: {row['label']}" + (f" ({said})" if said else ""))
        held_out = _held_out(choice, row.to_dict())
        lines += [f"  held out: {held_out}"] if held_out else []
        lines.append(f"  trials: {' '.join(trials[:FEW])}{more}")
        if line := again.command(manifest.loc[trials[0]].to_dict()):
            lines.append(f"  again: {line}")
    return lines
