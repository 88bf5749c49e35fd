"""Page: one HTML file that shows a results folder and asks the network for nothing.

Conventions: what stands in the page without its script comes from the template; figures, table and
trials are drawn by the script from data in the page. All text is escaped, and a content security
policy names the one script and the one style sheet by their hashes, so that no text of a study can
run or load anything. The page takes at most LIMIT bytes: details of trials are thinned until they
fit, and the page says so.
Contents: LIMIT, page.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from analysis import reading
from analysis.aggregate import ACCURACY, split_order
from analysis.data import Data
from analysis.figures.frame import DESCRIBED
from analysis.report import claims, details, devices, facts, rows
from analysis.report.configurations import configurations
from analysis.report.embedded import embedded
from scaling.text import printable

LIMIT = 1_500_000  # bytes
DIGITS = 8  # of shares: rounded to fewer, some would be said otherwise than in tables
SPARE = 1_000  # of which for the sentence that says what is coarser than recorded
SCRIPTS = ("dom", "figure", "frontier", "table", "trial", "main")


def page(data: Data, notes: Sequence[str] = (), progress: pd.DataFrame | None = None) -> str:
    """The report of these results, as HTML; `notes` are what else its reader must know, `progress`
    is reading.progress's where it is known already.

    Errors: those of the functions of analysis.table and analysis.reading.
    """
    known = configurations(data)
    if progress is None:
        progress = reading.progress(data.snapshot)
    style, script = _asset("style.css"), "".join(_asset(f"script/{n}.js") for n in SCRIPTS)
    told = {
        "splits": known.splits,
        "described": DESCRIBED,
        "on": known.on,
        "costs": known.costs,
        "configurations": [_compact(row) for row in known.rows],
        **rows.about_trials(data, known, progress),
    }
    words = {
        "where": data.snapshot.results.where,
        "tally": reading.counts(progress),
        "last": data.last,
        "notes": notes,
        "known": known,
        "described": DESCRIBED,
        "failures": facts.failed(progress),
        "missing": facts.missing(progress),
        "machines": facts.machines(data.snapshot.outcomes),
        "origins": facts.origins(data),
        "style": Markup(style),
        "script": Markup(script),
        "hashes": {"style": _digest(style), "script": _digest(script)},
        **claims.section(data),
        "devices": devices.section(data),
    }
    template = _environment().from_string(_asset("template.html.jinja"))
    sparse = template.render(words, coarser=[*details.NAMES], data=Markup(embedded(told)))
    found, coarser = _details(data, LIMIT - len(sparse.encode()) - SPARE)
    return template.render(words, coarser=coarser, data=Markup(embedded(told | found)))


def _details(data: Data, room: int) -> tuple[dict[str, Any], list[str]]:
    """The details of trials that fit into so many bytes, and what is coarser than recorded. Each
    kind may take a share of what is left; curves, which can be thinned to any size, all of it.
    """
    lines = details.curves(data)
    trials = [*dict.fromkeys(data.scores()["trial"])] if len(data.scores()) else []
    answers = details.answers(data, trials)
    longest = max((len(line[1]) for each in lines.values() for line in each), default=0)
    kinds: dict[str, tuple[float, Callable[[int], dict[str, Any]], tuple[int, ...]]] = {
        "devices": (1.0, lambda _: rows.by_device(data), (1,)),
        "confusions": (0.4, lambda _: answers.confusions, (1,)),
        "calibrations": (0.3, lambda _: answers.calibrations, (1,)),
        "maps": (0.4, lambda side: details.maps(data, side), details.SIDES),
        "curves": (
            1.0,
            lambda most: {t: details.thinned(each, most) for t, each in lines.items()},
            (longest, *(n for n in details.EPOCHS if n < longest)),
        ),
    }
    found: dict[str, Any] = {"classes": answers.classes}
    room -= len(embedded(found))
    coarser = []
    for name, (share, make, levels) in kinds.items():
        fit = details.fitted(make, levels, int(share * room))
        found[name] = fit.details
        room -= len(embedded(fit.details))
        if not fit.finest:
            what = f"{fit.level} {details.UNITS[name]}" if fit.details else "none"
            coarser.append(f"{details.NAMES[name]}: {what}")
    return found, coarser


def _compact(row: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as the page's script takes it: numbers of few digits, no nan."""
    values = {
        split: [_number(each[name]) for name in ("mean", "low", "high")] + [each["n"], each["unit"]]
        for split, each in sorted(row["values"].items(), key=lambda item: split_order(item[0]))
    }
    return {**row, "values": values}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), DIGITS)


def _digest(text: str) -> str:
    """What a content security policy calls a script or a style sheet."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    """Jinja with all escaped, and what a terminal or a reader's eye would obey made visible."""

    def shown(value: Any) -> Any:
        return (
            printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        )

    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["share"] = lambda value: "-" if math.isnan(value) else ACCURACY.text(value)
    made.filters["count"] = lambda value: f"{value:,.15g}"
    return made
