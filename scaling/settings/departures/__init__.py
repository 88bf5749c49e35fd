"""Where recipes and studies depart from their papers, and where those are silent, with the reason.

docs/departures.md is made from this. A departure is of a setting, whose value a recipe states, or
of what no setting says. What recipes for CPUs change against those at the paper's scale has a
reason for each setting. One file for each paper. Contents: PAPERS, `rows`, `smaller`.
"""

from collections.abc import Iterator
from typing import Any

from scaling.settings.departures import bottleneck, consistency, few_data, over_parameterization
from scaling.settings.departures.departure import Paper
from scaling.settings.recipes import RECIPES
from scaling.settings.rows import flat

PAPERS = (
    over_parameterization.PAPER,
    bottleneck.PAPER,
    consistency.PAPER,
    few_data.PAPER,
)


def rows(paper: Paper) -> Iterator[tuple[str, str, str, str, str]]:
    """What, what the paper says, what is done here, why, and the study with an arm that does as the
    paper, of each departure of a paper.
    """
    stated = flat(RECIPES[paper.recipe])
    for each in paper.departures:
        yield each.what, each.paper, each.here or _text(stated[each.what]), each.why, each.arm


def smaller(paper: Paper) -> Iterator[tuple[str, str, str, str]]:
    """Setting, its value at the paper's scale and at CPU scale, and why, where the two differ."""
    large, small = (flat(RECIPES[name]) for name in (paper.recipe, paper.small))
    for name, value in small.items():
        if value != large[name]:
            yield name, _text(large[name]), _text(value), paper.smaller.get(name, "")


def _text(value: Any) -> str:
    """A value as it is read: numbers short, lists with spaces."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace(",", ", ") or "none"
