"""The ledger of claims as `overhear claims` prints and writes it.

Conventions: effects are percentage points, of other metrics what scaling.results.claims.unit_of
says; intervals are of one claim, p is corrected.
Contents: show, of_claims, of_components, told, remarks.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from analysis import console, files, findings, remedies, sequential, units, variance
from analysis.claims import Verdict, judge, recorded
from analysis.coverage import conservative
from analysis.data import Data, opened
from analysis.listing import Column, Listing
from scaling.results.claims import POINTS, Claim, unit_of
from scaling.results.records import Results
from scaling.results.statements import Stated

SOURCES = {
    "fold": "fold",
    "device": "device",
    "device_in_fold": "device x fold",
    "seed": "seed",
    "clips": "clips, at most",
}
States = Callable[[str], tuple[str, tuple[Claim, ...]]]  # a study's name and claims, by either


def show(
    results: Sequence[str],
    study: str | None,
    states: States,
    shipped: Sequence[str],
    alpha: float,
    unit: str,
    every: bool,
    json: bool,
    out: str | None,
    kept: str | None = None,
) -> None:
    """Judge the claims of results folders, or of a finding, print them and write claims.csv.

    They are those recorded with the results; else, and where one is named, those that a study
    `states` now, which is said. `kept` names the finding that they are kept as. Raises ValueError
    for what a person can mend.
    """
    if findings.is_one(results):
        if study is not None or kept is not None:
            raise ValueError("a finding has one study and is kept: leave out --study and --keep")
        folder = files.folder(Results("."), out) if out is not None else None
        _show(_of_finding(results[0], unit, alpha), alpha, every, json, folder)
        return
    where = [Results(each) for each in results]
    folder = files.folder(where, out)
    data = opened(where, unit=units.asked(unit))
    claims, said = _claims(data, study, states, shipped)
    judged = judge(data, claims, alpha)
    if said:
        print(said, file=sys.stderr if json else sys.stdout)
    _show(judged, alpha, every, json, folder)
    if not json:
        studies = {*judged["study"]}
        looked = (sequential.remarks(each, studies) for each in data.snapshot.results.parts)
        console.show(console.lines(itertools.chain.from_iterable(looked)))
    if kept is not None:
        _keep(data, claims, kept, sys.stderr if json else sys.stdout)


def _of_finding(file: str, unit: str, alpha: float) -> pd.DataFrame:
    """What a finding that was kept says of its claims."""
    found = findings.Kept(Path(file), units.asked(unit))
    return judge(found, {found.study: found.claims}, alpha)


def _show(judged: pd.DataFrame, alpha: float, every: bool, json: bool, folder: Path | None) -> None:
    """Print judged claims, and write them where there is a folder."""
    if folder is not None:
        with files.writing(folder):
            files.write_csv(judged, folder / "claims.csv")
    if json:
        print(*console.json_lines(judged, {"table": "claims"}), sep="\n")
    else:
        shown = judged if every else judged.head(console.MOST)
        console.show(console.listed(of_claims(judged, alpha), every, "claims.csv"))
        console.show(console.lines(remarks(shown)))
        undecided = shown[(shown["remedy"] != "") & shown[[*SOURCES]].notna().any(axis="columns")]
        if len(undecided):
            console.show(console.listed(of_components(undecided), every, "claims.csv"))
    if folder is not None:
        print(f"claims: {folder / 'claims.csv'}", file=sys.stderr if json else sys.stdout)


def _keep(
    data: Data, claims: Mapping[str, Sequence[Claim | Stated]], kept: str, aside: TextIO
) -> None:
    """Keep what the claims of one study rest on."""
    file = Path(kept)
    if file.suffix != ".csv":
        raise ValueError(f"--keep {kept}: name a .csv file; its .json file stands beside it")
    if len(claims) > 1:
        raise ValueError(f"--keep keeps one of {', '.join(claims)}: name it with --study")
    ((study, stated),) = claims.items()
    with files.writing(file.parent):
        findings.keep(data, study, stated, file)
    print(f"kept: {file}, {file.with_suffix('.json').name}", file=aside)


def _claims(
    data: Data, study: str | None, states: States, shipped: Sequence[str]
) -> tuple[Mapping[str, Sequence[Claim | Stated]], str]:
    """What is to be judged, by study, and whether it was recorded with the results."""
    known = recorded(data)
    if study is not None:
        name, claims = states(study)
        if not claims:
            raise ValueError(f"--study {study} states no CLAIMS")
        listed = [each.claim for each in known.get(name, [])]
        if len(listed) == len(claims) and all(claim in listed for claim in claims):
            return {name: known[name]}, ""
        return {name: claims}, _unrecorded([name])
    if known:
        return known, ""
    names = [name for name in data.manifest["study"].unique() if name in shipped]
    stated = {name: claims for name, claims in map(states, names) if claims}
    if not stated:
        raise ValueError(
            f"{data.snapshot.results.where} holds no claims, and none of its studies "
            f"({', '.join(data.manifest['study'].unique())}) is a shipped one with claims: name "
            "the study that states them with --study"
        )
    return stated, _unrecorded(list(stated))


def _unrecorded(names: Sequence[str]) -> str:
    return (
        f"claims of {', '.join(names)} as stated now: these results do not record that they were "
        "stated before"
    )


def of_claims(judged: pd.DataFrame, alpha: float) -> Listing:
    """Claims with their verdicts and what they rest on, a row each."""
    rows = judged.to_dict("records")
    counts = {verdict: int((judged["verdict"] == verdict).sum()) for verdict in Verdict}
    tally = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    families = "" if judged["study"].nunique() == 1 else "each study's "
    result = (
        f"{tally} of {len(rows)}, with at most {100 * alpha:g} % chance of any false verdict "
        f"(Holm's correction over {families or 'all '}claims)"
    )
    if others := [m for m in judged["metric"].unique() if unit_of(m) != POINTS]:
        units = ", ".join(f"of {metric} {unit_of(metric).name}" for metric in others)
        result += f"; effects are points, {units}"
    if judged["detectable"].notna().any():
        result += (
            "; MDE: the smallest effect, beyond the claimed one, that this design detects with "
            f"a power of {100 * variance.POWER:g} % (for a single claim)"
        )
    levels = judged["worse"] == ""
    said = {conservative(judged[levels]), conservative(judged[~levels], apart=True)}
    result = "; ".join([result, *sorted(said - {""})])
    about = [
        Column("study", tuple(judged["study"]), left=True, folds=True),
        Column("claim", tuple(judged["claim"]), left=True, folds=True),
    ]
    values = [
        Column("verdict", tuple(judged["verdict"]), left=True),
        Column("effect", tuple(_effect(row, row["effect"]) for row in rows)),
        Column(f"{100 * (1 - alpha):g} %", tuple(map(_interval, rows)), folds=True),
        Column(
            "n", tuple(f"{row['n']} {row['unit']}" if row["n"] else "-" for row in rows), folds=True
        ),
        Column("p, Holm", tuple(map(_p, rows))),
        Column("MDE", tuple(_effect({**row, "worse": ""}, row["detectable"]) for row in rows)),
    ]
    if (judged["at_least"] != 0).any() or judged["within"].notna().any():
        heading = "claimed" if judged["within"].notna().any() else "at least"
        values.insert(1, Column(heading, tuple(map(_claimed, rows))))
    if judged["published"].notna().any():
        cells = tuple(_effect(row, row["published"]) for row in rows)
        values.append(Column("paper", cells))
    return Listing("claims", result, tuple(about), tuple(values))


def told(judged: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Claims as the head and the rows of a table in a document; `more needed` is the cheapest
    addition that would decide a claim with a power of 80 %.
    """
    head = ["claim", "verdict", "effect", "95 %", "unit", "p, Holm", "MDE", "more needed"]
    rows = [
        [
            row["claim"],
            str(row["verdict"]),
            _effect(row, row["effect"]),
            _interval(row),
            f"{row['n']} {row['unit']}",
            _p(row),
            _effect({**row, "worse": ""}, row["detectable"]),
            _needed(row),
        ]
        for row in judged.to_dict("records")
    ]
    if judged["published"].notna().any():
        head.append("paper")
        for cells, row in zip(rows, judged.to_dict("records"), strict=True):
            cells.append(_effect(row, row["published"]))
    return head, rows


def remarks(judged: pd.DataFrame) -> Iterator[str]:
    """What would decide the undecided claims, and what a reader has to know of any."""
    rows = judged.to_dict("records")
    power = f"with a power of {100 * variance.POWER:g} %"
    for heading, name in {f"What would decide, {power}": "remedy", "To know": "note"}.items():
        said = [row[name] for row in rows]
        if any(said):
            yield f"{heading}:"
            yield from (f"- {r['claim']}: {s}" for r, s in zip(rows, said, strict=True) if s)


def of_components(judged: pd.DataFrame) -> Listing:
    """What a single difference (or a run, of a level) varies by, by where that comes from."""
    rows = judged.to_dict("records")
    units = ", ".join(dict.fromkeys(unit_of(metric).name for metric in judged["metric"]))
    what = "run" if (judged["worse"] == "").all() else "pair"
    result = f"standard deviation of one {what} ({units}), by source; 0 where it does not show"
    values = [
        Column(heading, tuple(_effect({**row, "worse": ""}, row[name]) for row in rows))
        for name, heading in SOURCES.items()
        if judged[name].notna().any()
    ]
    about = Column("claim", tuple(judged["claim"]), left=True, folds=True)
    return Listing("variance", result, (about,), tuple(values))


def _effect(row: Mapping[Any, Any], value: float) -> str:
    """`+5.1` points, `+0.120` nats; a level without a sign."""
    if math.isnan(value):
        return "-"
    return unit_of(row["metric"]).text(value, "+" if row["worse"] else "")


def _needed(row: Mapping[Any, Any]) -> str:
    """`9 folds`, `37 folds and seeds each`; of a claim that no number would decide `no number`."""
    if row["verdict"] != Verdict.UNDECIDED:
        return "-"
    unit = row["needed_unit"]
    each = " each" * (" and " in unit)
    return f"{remedies.counted(row['needed'], unit)}{each}" if unit else "no number"


def _claimed(row: Mapping[Any, Any]) -> str:
    """`2`, of a margin `±2`: in what effects are said."""
    alike = not math.isnan(row["within"])
    value = unit_of(row["metric"]).factor * row["within" if alike else "at_least"]
    return f"{'±' * alike}{round(value, 9):g}"


def _interval(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["low"]):
        return "-"
    low, high = (_effect(row, row[edge]) for edge in ("low", "high"))
    return f"{low} to {high}"


def _p(row: Mapping[Any, Any]) -> str:
    p = row["p_holm"]
    return "-" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
