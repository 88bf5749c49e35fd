"""What is printed of where models fail: worst first, the worst in a sentence.

Conventions: those of analysis.listing; percent. Contents: of_places, of_cells, of_confusions,
of_calibration, of_clips.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.aggregate import DIMENSIONS
from analysis.failures.models import summaries
from analysis.listing import Column, Listing, edges, of_values, on, who

MODEL = ("family", *DIMENSIONS)
TENTH = 10  # places from which on a tenth of them is one


def of_places(title: str, points: pd.DataFrame, place: str) -> Listing:
    """A row for each model and split: the worst device or class, beside the mean over them and the
    10th percentile.
    """
    rows = summaries(points, place)
    word, plural = {"device": ("device", "devices"), "label": ("class", "classes")}[place]
    several = rows[rows["places"] > 1]
    if len(several):
        rows = several.reset_index(drop=True)
    worst = rows[rows["split"] == rows["split"].iloc[-1]]["value"].idxmin()
    row: dict[Any, Any] = rows.loc[worst].to_dict()
    named = who(rows[rows["split"] == row["split"]], MODEL, worst)
    result = f"worst {word} {on(row['split'])}{f' of {named}' if named else ''}: {row['worst']}, "
    result += f"{_percent(row['value'])} %{edges(row)}"
    if row["places"] > 1:
        apart = row["mean"] - row["value"]
        result += f", {_percent(apart)} points below the mean of {row['places']} {plural}"
        result += f"; 10th percentile {_percent(row['tenth'])} %"
        result += f"; best {row['best']}, {_percent(row['highest'])} %"
    rows = rows.assign(worst_place=rows["worst"])
    columns = ("split", *MODEL, f"worst {word}")
    told = rows.rename(columns={"worst_place": f"worst {word}"})
    more = [
        _numbers(f"mean of {plural}", rows["mean"]),
        _numbers("10th percentile", rows["tenth"], optional=True),
        _numbers(f"best {word}", rows["highest"], optional=True),
        Column(plural, tuple(map(str, rows["places"])), optional=True),
    ]
    return of_values(title, result, told, columns, more=more)


def of_cells(title: str, points: pd.DataFrame) -> Listing:
    """Classes on devices, the lowest accuracies first."""
    rows = points.sort_values("value", kind="stable").reset_index(drop=True)
    worst: dict[Any, Any] = rows.iloc[0].to_dict()
    named = who(rows, MODEL, 0)
    result = f"lowest: {worst['label']} on {worst['device'] or 'no device'}"
    result += f"{f', {named}' if named else ''}, {_percent(worst['value'])} %{edges(worst)}"
    poor = (rows["value"] < 0.5).sum()
    result += f"; {poor} of {len(rows)} classes on devices are below 50 %"
    told = rows.rename(columns={"label": "class"})
    return of_values(title, result, told, ("split", "class", "device", *MODEL))


def of_confusions(title: str, points: pd.DataFrame) -> Listing:
    """Pairs of different classes, the commonest first; the sentence is of the last split."""
    wrong = points[points["label"] != points["predicted"]]
    if wrong.empty:
        named = points.assign(**{"class": points["label"], "taken for": points["predicted"]})
        result = "no clip is taken for one of another class"
        return of_values(title, result, named, ("split", "class", *MODEL))
    rows = wrong.sort_values("value", ascending=False, kind="stable").reset_index(drop=True)
    on_last = rows[rows["split"] == wrong["split"].iloc[-1]]
    most: dict[Any, Any] = on_last.iloc[0].to_dict()
    named = who(on_last, MODEL, on_last.index[0])
    result = f"most confused {on(most['split'])}: {most['label']} taken for {most['predicted']}"
    result += f"{f' by {named}' if named else ''}, {_percent(most['value'])} %{edges(most)} of "
    result += "its clips"
    told = rows.rename(columns={"label": "class", "predicted": "taken for"})
    more = [Column("answers", tuple(f"{n:,}" for n in rows["answers"]), optional=True)]
    columns = ("split", "class", "taken for", *MODEL)
    return of_values(title, result, told, columns, "of its clips %", more)


def of_calibration(title: str, points: pd.DataFrame) -> Listing:
    """The expected calibration error of each model and split, as trained and with a temperature."""
    keys = ["model", "split"]
    by_stage = points.drop_duplicates([*keys, "stage"])
    rows = by_stage[by_stage["stage"] == "as trained"]
    tempered = by_stage[by_stage["stage"] != "as trained"].set_index(keys)
    after = tempered[["error", "temperature"]].reindex(pd.MultiIndex.from_frame(rows[keys]))
    rows = rows.drop(columns=["value", "low", "high"]).rename(
        columns={"error": "value", "error_low": "low", "error_high": "high"}
    )
    told = rows.assign(
        after=after["error"].to_numpy(), warmth=after["temperature"].to_numpy()
    ).reset_index(drop=True)
    here = told[told["split"] == told["split"].iloc[-1]]
    worst = here["value"].idxmax()
    row: dict[Any, Any] = told.loc[worst].to_dict()
    named = who(here, MODEL, worst)
    sure = row["sure"] - row["accuracy"]
    result = f"largest calibration error {on(row['split'])}: {f'{named}, ' if named else ''}"
    result += f"{_percent(row['value'])} %{edges(row)}, {'over' if sure > 0 else 'under'}confident "
    result += f"by {_percent(abs(sure))} points"
    if pd.notna(row["after"]):
        result += f"; {_percent(row['after'])} % with temperature {row['warmth']:.2f}, fitted on "
        result += "validation clips"
    else:
        result += "; no temperature: these trials have no validation clips to fit one on"
    bins = int(points["bin"].max())
    answers = points.groupby([*keys, "stage"])["answers"].mean()
    few, many = (f"{edge:.0f}" for edge in (answers.min(), answers.max()))
    span = few if few == many else f"{few} to {many}"
    result += f"; {bins} bins of {span} answers each"
    more = [
        _numbers("by chance", told["by_chance"]),
        _numbers("with temperature", told["after"]),
        Column("temperature", tuple(_or_dash(each, ".2f") for each in told["warmth"])),
        _numbers("confidence", told["sure"], optional=True),
        _numbers("accuracy %", told["accuracy"], optional=True),
    ]
    return of_values(title, result, told, ("split", *MODEL), "error %", more)


def of_clips(title: str, clips: pd.DataFrame) -> Listing:
    """The hardest clips first, with their paths."""
    if clips.empty:
        return Listing(title, "no clip is missed", (), (Column("clips", ("0",)),))
    first: dict[Any, Any] = clips.iloc[0].to_dict()
    known = clips.drop_duplicates("dataset")[["hard", "clips"]].sum()
    result = (
        f"{known['hard']:,} of {known['clips']:,} clips are missed by most trainings that were "
    )
    result += f"tested on them; hardest: {first['clip']} ({first['label']}), missed by "
    result += f"{first['missed']} of {first['n']}, "
    result += f"mostly taken for {first['taken_for']}"
    told = clips.assign(**{"taken for": clips["taken_for"], "class": clips["label"]})
    columns = ["dataset", "clip", "class", "device", "taken for"]
    about = of_values(title, result, told, columns).about
    missed = tuple(f"{row.missed} of {row.n}" for row in clips.itertuples())
    share = tuple(_percent(value) for value in clips["value"])
    models = Column("models", tuple(map(str, clips["models"])), optional=True)
    return Listing(title, result, about, (Column("missed by", missed), Column("%", share), models))


def _numbers(
    heading: str, values: "Sequence[float] | pd.Series[float]", optional: bool = False
) -> Column:
    return Column(heading, tuple(_percent(each) for each in values), optional=optional)


def _percent(value: float) -> str:
    return _or_dash(100 * value, ".1f")


def _or_dash(value: float, form: str) -> str:
    return "-" if pd.isna(value) else f"{value:{form}}"
