"""Error against size or training clips, with the law E + A N^-alpha and the largest size held out.

Source: analysis.laws. Conventions: a line is a condition (all settings but the dimensions of the
network, seed and fold; against clips, also these dimensions) on one split. The law is drawn on to
twice the largest size; a hollow marker is what the other sizes predict for the largest one, which
takes one size more than a law does.
Contents: ScalingLaw, PARAMETERS, WEIGHTS, MACS, CLIPS.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from analysis.aggregate import ACCURACY, CROSS_ENTROPY, Measure, in_order, split_order
from analysis.coverage import LAWS
from analysis.data import Data
from analysis.figures.axes import parameters
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import GREY, PLAIN, Style, drawing, folded, page, palette
from analysis.figures.looks import MARKERS
from analysis.intervals import over_units
from analysis.laws import RESAMPLES, SIZES, Runs, predicted, runs_by, runs_of, values_of
from analysis.listing import DESCRIBED as ON
from analysis.listing import Column, Listing

PLACES = 40  # that a line is drawn through
ASIDE = 5.0  # typographic points: what is predicted stands beside what was observed
NEXT = 2.0  # how far a line goes beyond the largest size
FRACTION, PER_CLASS = "split.fraction", "split.clips_per_class"
Looks = Mapping[str, tuple[tuple[float, float, float], str]]


class ScalingLaw(NamedTuple):
    """The figure of one kind of size."""

    size: str  # a column of the scores; "" for training clips, of which there are two
    title: str
    label: str

    def obstacle(self, data: Data) -> str | None:
        """Why there is no law: too few sizes of each condition."""
        scores, _ = values_of(data)
        if self.size == "kept_weights" and (scores["kept_weights"] == scores["weights"]).all():
            return "no network of these is pruned: scaling_law_parameters shows the same"
        what = "sizes" if self.size else "amounts of training clips"
        counts = {len(runs.size_M): runs.size_M for runs in self._runs(data)}
        most = max(counts, default=1)
        if most >= SIZES:
            return None
        said = ", ".join(f"{n:,.15g}" for n in counts.get(most, ()))
        said = f" ({said})" if said else ""
        return f"a law takes {SIZES} {what} of one condition, there are at most {most}{said}"

    def points(self, data: Data) -> pd.DataFrame:
        """Rows of four kinds: `size` (mean error of each size, observed), `law` (PLACES of its
        line), `held out` (the largest size, predicted from the others) and `next` (twice it).

        Columns: kind, split, dataset, family, condition columns, metric, size_of, size; mean, low,
        high (errors; low and high nan where there are fewer than three units), n, unit; floor,
        scale, exponent, exponent_low, exponent_high, sizes (how many the law is of); off, off_low,
        off_high (predicted - observed, of `held out`); trials.
        """
        _, measure = values_of(data)
        rows: list[dict[str, Any]] = []
        for runs in self._runs(data):
            if len(runs.size_M) >= SIZES:
                about = runs.about | {"metric": measure.metric, "size_of": self.size or "clips"}
                rows += [about | row for row in _rows(runs)]
        frame = pd.DataFrame(rows)
        order = frame["split"].map(split_order)
        return frame.assign(order=order).sort_values(["order", "family"], kind="stable").drop(
            columns="order"
        ).reset_index(drop=True)  # fmt: skip

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """One panel per split, both axes logarithmic; colour and marker by condition, the line
        dashed where it leaves the sizes that it was fitted to.
        """
        splits, names = list(points["split"].unique()), in_order(points["family"])
        hues = palette(len(names))
        looks = {name: (hues[k], MARKERS[k % len(MARKERS)]) for k, name in enumerate(names)}
        measure = _measure(points)
        with drawing(style):
            shape = (1, len(splits))
            made = page(self.title, _caption(points), _legend(looks, points), shape, "all", style)
            for split, panel in zip(splits, made.panels.flat, strict=True):
                _panel(panel, points[points["split"] == split], looks, measure.factor)
                parameters(panel, np.unique(points["size"].to_numpy(float)))
                panel.set_title(folded(style.renamed(DESCRIBED.get(split, split)), made.letters),
                                loc="left")  # fmt: skip
            _vertical(made.panels.flat[0], measure.factor * points[["mean", "low", "high"]])
            for panel in made.leftmost():
                label = "Error (%)" if measure is ACCURACY else measure.label
                panel.set_ylabel(folded(style.renamed(label), made.high))
            for panel in made.lowest():
                panel.set_xlabel(folded(style.renamed(self.label), made.letters))
        return made.figure

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """What is printed of the points: a row for each law."""
        laws = points[points["kind"] == "next"].to_dict("records")
        held = {(r["split"], r["family"], r["dataset"]): r
                for r in points[points["kind"] == "held out"].to_dict("records")}  # fmt: skip
        measure = _measure(points)
        beside = [held.get((r["split"], r["family"], r["dataset"])) for r in laws]
        text = measure.text
        about = [
            Column(name, tuple(str(row[name]) for row in laws), left=True, folds=True)
            for name in ("split", "dataset", "family")
        ]
        about.append(Column("sizes", tuple(f"{row['sizes']:.0f}" for row in laws), folds=True))
        values = [
            Column("E", tuple(text(row["floor"]) for row in laws)),
            Column("alpha", tuple(_exponent(row) for row in laws)),
            Column("95 %", tuple(_edges(row, "exponent_") for row in laws)),
            Column("next", tuple(text(row["mean"]) for row in laws), optional=True),
            Column("95 %", tuple(_edges(row, "", measure) for row in laws), optional=True),
            Column("held out, off by", tuple(
                text(row["off"], "+") if row else "-" for row in beside)),
            Column("95 %", tuple(
                _edges(row, "off_", measure, "+") if row else "-" for row in beside)),
        ]  # fmt: skip
        return Listing(name, _result(laws, beside, measure), tuple(about), tuple(values))

    def _runs(self, data: Data) -> Iterator[Runs]:
        if self.size:
            yield from runs_by(data, self.size)
            return
        scores, _ = values_of(data)
        for size, part in (
            (FRACTION, scores[scores[PER_CLASS] == 0]),
            (PER_CLASS, scores[scores[PER_CLASS] > 0]),
        ):
            if part[size].nunique() > 1:
                yield from runs_of(part, size, data.unit)


def _rows(runs: Runs) -> Iterator[dict[str, Any]]:
    """The points of one law."""
    largest, units = float(runs.size_M[-1]), runs.error_MU.shape[1]
    counted = {"n": units if runs.unit else len(runs.trials), "unit": runs.unit or "trials"}
    for size, values in zip(runs.size_M, runs.error_MU, strict=True):
        low, high = over_units(values)
        yield {
            "kind": "size", "size": size, "mean": values.mean(), "low": max(low, 0.0), "high": high
        } | counted | {"trials": " ".join(runs.trials)}  # fmt: skip
    places = np.geomspace(runs.size_M[0], NEXT * largest, PLACES)
    whole = predicted(runs, [*places, NEXT * largest])
    said = counted | dict(zip(("floor", "scale", "exponent"), whole.law, strict=True))
    said |= dict(zip(("exponent_low", "exponent_high"), whole.exponent, strict=True))
    said["sizes"] = len(runs.size_M)
    bands = zip(whole.mean_X, whole.low_X, whole.high_X, strict=True)
    for k, (mean, low, high) in enumerate(bands):
        place = {"kind": "law", "size": places[k]} if k < PLACES else {"kind": "next"}
        yield {"size": NEXT * largest} | place | {"mean": mean, "low": low, "high": high} | said
    if len(runs.size_M) > SIZES:
        part = predicted(runs, [largest], without_largest=True)
        assert part.off is not None
        edges = {"mean": part.mean_X[0], "low": part.low_X[0], "high": part.high_X[0]}
        off = dict(zip(("off", "off_low", "off_high"), part.off, strict=True))
        yield {"kind": "held out", "size": largest} | edges | counted | off


def _measure(points: pd.DataFrame) -> Measure:
    return CROSS_ENTROPY if points["metric"].iloc[0] == CROSS_ENTROPY.metric else ACCURACY


def _panel(panel: Axes, rows: pd.DataFrame, looks: Looks, factor: float) -> None:
    panel.set_yscale("log")
    for name, line in rows.groupby("family"):
        colour, marker = looks[str(name)]
        by_kind = {
            str(kind): each.assign(**{c: factor * each[c] for c in ("mean", "low", "high")})
            for kind, each in line.groupby("kind")
        }
        observed, law = by_kind["size"], by_kind["law"]
        within = law[law["size"] <= observed["size"].max()]
        beyond = law[law["size"] >= within["size"].max()]
        panel.plot(within["size"], within["mean"], color=colour, linewidth=1.3)
        panel.plot(beyond["size"], beyond["mean"], color=colour, linewidth=1.3, linestyle="--")
        panel.fill_between(law["size"], law["low"], law["high"], color=colour, alpha=0.13,
                           linewidth=0)  # fmt: skip
        _bars(panel, observed, colour, marker, colour)
        if "held out" in by_kind:
            _bars(panel, by_kind["held out"], colour, "D", "white", ASIDE)
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _bars(
    panel: Axes, rows: pd.DataFrame, colour: Any, marker: str, face: Any, aside: float = 0.0
) -> None:
    mean, low, high = (rows[name].to_numpy() for name in ("mean", "low", "high"))
    panel.errorbar(
        rows["size"],
        mean,
        yerr=[mean - low, high - mean],
        color=colour,
        marker=marker,
        markersize=5,
        markerfacecolor=face,
        markeredgewidth=1.1,
        linestyle="",
        elinewidth=0.8,
        zorder=3,
        transform=panel.transData + ScaledTranslation(aside / 72, 0, panel.figure.dpi_scale_trans),
    )


def _vertical(panel: Axes, values: pd.DataFrame) -> None:
    """Limits that hold all means and half a decade around them, with plain numbers as labels."""
    means = values["mean"].dropna()
    means = means[means > 0]
    low, high = float(means.min()), float(means.max())
    room = max((high / low) ** 0.1, 1.15)
    edges = values[["low", "high"]].to_numpy().ravel()
    edges = edges[(edges > low / 2) & (edges < 2 * high)]
    low, high = min([low / room, *edges]), max([high * room, *edges])
    panel.set_ylim(low, high)
    panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _legend(looks: Looks, points: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, marker=marker, label=name)
        for name, (colour, marker) in looks.items()
    ]
    handles = handles if len(handles) > 1 else []
    handles.append(Line2D([], [], color=GREY, linestyle="--", label="law, beyond the sizes"))
    if (points["kind"] == "held out").any():
        handles.append(Line2D([], [], color=GREY, marker="D", markerfacecolor="white", linestyle="",
                              label="largest, from the others"))  # fmt: skip
    return handles


def _caption(points: pd.DataFrame) -> str:
    """What was fitted, what the bands are over, and what is missing."""
    fitted = "1 - accuracy" if _measure(points) is ACCURACY else "cross-entropy, not to accuracy"
    parts = [f"line: E + A N^-alpha, fitted to {fitted}"]
    banded = points.dropna(subset=["low"])[["n", "unit"]].drop_duplicates()
    if len(banded):
        units = " or ".join(f"{n} {unit}" for n, unit in banded.itertuples(index=False))
        parts.append(f"means and 95 % intervals over {units}, bands of {RESAMPLES:,} resamples")
        parts.append(LAWS)
    else:
        parts.append("no bands: fewer than three folds or repeats")
    if not (points["kind"] == "held out").any():
        parts.append(f"the largest size is held out where there are {SIZES + 1}")
    return "; ".join(parts)


def _exponent(law: Mapping[Any, Any]) -> str:
    return f"{law['exponent']:.2f}" if law["scale"] > 0 else "-"


def _edges(
    row: Mapping[Any, Any], prefix: str, measure: Measure | None = None, sign: str = ""
) -> str:
    low, high = (row[f"{prefix}{edge}"] for edge in ("low", "high"))
    if np.isnan(low):
        return "-"
    texts = [measure.text(e, sign) if measure else f"{e:.2f}" for e in (low, high)]
    return f"{texts[0]} to {texts[1]}"


def _result(laws: list[dict[Any, Any]], held: list[dict[Any, Any] | None], measure: Measure) -> str:
    """The law of the last split's first condition, and how its held-out size came out."""
    law, beside = laws[-1], held[-1]
    unit = " %" if measure is ACCURACY else " nats"
    who = f"{law['family']}, " if len({row["family"] for row in laws}) > 1 else ""
    where = "on " + ON.get(law["split"], f"{law['split']} clips")
    scale = f"{measure.factor * law['scale']:.3g}"
    said = f"{who}{where}: {measure.text(law['floor'])} + {scale} N^-{_exponent(law)}{unit}"
    if beside is None:
        return said
    sure = not np.isnan(beside["off_low"])
    edges = f" ({_edges(beside, 'off_', measure, '+')})" if sure else ""
    return (
        f"{said}; from the others the largest size is off by {measure.text(beside['off'], '+')}"
        + (f"{unit}{edges}")
    )


PARAMETERS = ScalingLaw("kept_parameters", "The law of error against parameters", "Kept parameters")
WEIGHTS = ScalingLaw("kept_weights", "The law of error against kept weights", "Kept weights")
MACS = ScalingLaw("macs", "The law of error against multiply-adds", "Multiply-adds of one clip")
CLIPS = ScalingLaw(
    "", "The law of error against training clips", "Training clips (share, or per class)"
)
