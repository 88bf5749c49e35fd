"""The registry of figures: their one protocol, and where each of them is.

A figure is a module, or an object of one, with the four functions of Figure. A new one costs its
file and one line of FIGURES.
Contents: Figure, FIGURES, IN_A_SENTENCE, known, applicable.
"""

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Protocol, cast

import pandas as pd
from matplotlib import figure as matplotlib_figure

from analysis.data import Data
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing
from scaling.spelling import closest, shortened


class Figure(Protocol):
    """What a figure offers: whether it applies, its points, their drawing, their text."""

    def obstacle(self, data: Data) -> str | None:
        """Why these results cannot fill this figure, as half a sentence; None if they can.

        `data` has at least one complete trial with an accuracy.
        """

    def points(self, data: Data) -> pd.DataFrame:
        """One row per drawn point; pure.

        Condition columns (analysis.conditions) say what a row is of. Raises ValueError where these
        results hold what cannot be drawn, metrics.Unrecorded where a metric was not recorded.
        """

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> matplotlib_figure.Figure:
        """The figure of these points; labels are made from their condition columns."""

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """What is printed of these points, under this name."""


FIGURES: dict[str, Figure] = {
    name: cast(Figure, resolve_name(f"analysis.figures.{where}"))
    for name, where in {
        "accuracy_vs_parameters": "accuracy_vs_parameters",
        "accuracy_vs_width": "accuracy_vs_dimension:WIDTH",
        "accuracy_vs_depth": "accuracy_vs_dimension:DEPTH",
        "accuracy_vs_pointwise": "accuracy_vs_dimension:POINTWISE",
        "accuracy_vs_fraction": "accuracy_vs_training_clips:FRACTION",
        "accuracy_vs_clips": "accuracy_vs_training_clips:CLIPS",
        "frontier_parameters": "frontier:PARAMETERS",
        "frontier_weights": "frontier:WEIGHTS",
        "frontier_macs": "frontier:MACS",
        "frontier_latency": "frontier:LATENCY",
        "scaling_law_parameters": "scaling_law:PARAMETERS",
        "scaling_law_weights": "scaling_law:WEIGHTS",
        "scaling_law_macs": "scaling_law:MACS",
        "scaling_law_clips": "scaling_law:CLIPS",
        "next_size": "next_size",
        "ways_of_scaling": "ways_of_scaling",
        "sparse_width": "sparse_width",
        "random_labels": "random_labels",
        "vib_beta": "vib_beta",
        "learning_curves": "learning_curves",
        "disagreement_curves": "disagreement_curves",
        "effective_field_log": "effective_field:LOG",
        "effective_field_linear": "effective_field:LINEAR",
        "effective_field_scaled": "effective_field:SCALED",
        "frontend_filters": "frontend_filters",
        "devices": "devices",
        "classes": "classes",
        "classes_by_device": "classes_by_device",
        "confusion": "confusion",
        "calibration": "calibration",
        "hardest_clips": "hardest_clips",
    }.items()
}
# of these only the sentence of result is printed, unless they or all rows are asked for
IN_A_SENTENCE = {
    *(name for name in FIGURES if name.startswith(("frontier_", "scaling_law_"))),
    "effective_field_linear",  # the numbers of effective_field_log
    "effective_field_scaled",
    "devices",
    "classes",
    "classes_by_device",
    "confusion",
    "calibration",
    "hardest_clips",
}


def known(names: Sequence[str]) -> None:
    """Raises ValueError for a name of no figure."""
    for name in names:
        if name not in FIGURES:
            close = closest(name, [*FIGURES])
            meant = f" (did you mean {close}?)" if close else ""
            raise ValueError(
                f"--figure {shortened(name)}: no such figure{meant}; docs/reference/figures.md "
                f"lists all {len(FIGURES)}, and without --figure all that apply are drawn"
            )


def applicable(names: Sequence[str], data: Data) -> list[str]:
    """The figures of these names, in this order; for none, all that these results can fill.

    Raises ValueError where a named one cannot be filled.
    """
    obstacles = {name: FIGURES[name].obstacle(data) for name in names or FIGURES}
    for name, reason in obstacles.items():
        if names and reason:
            raise ValueError(f"figure {name}: {reason}")
    return [name for name, reason in obstacles.items() if not reason]
