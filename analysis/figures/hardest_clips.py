"""Hardest clips: the clips that most trainings miss, by their paths.

Conventions: those of analysis.failures.hardest_clips; the twenty hardest are drawn, a hundred are
written.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.data import Data
from analysis.failures import answers
from analysis.failures.hardest_clips import hardest
from analysis.failures.listings import of_clips
from analysis.failures.models import models
from analysis.figures.classes import drawn_trials
from analysis.figures.layout import PLAIN, Style, drawing, folded, page, palette
from analysis.listing import Listing
from scaling.text import printable

DRAWN = 20
READ = 400  # trials, at most; of more, those of the models that a figure has room for
LETTERS = 40  # of a name: the end of a longer path


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no predictions."""
    return answers.obstacle(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each clip: analysis.failures.hardest's."""
    few = len(models(data).trainings) <= READ
    return hardest(data, None if few else drawn_trials(data))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel; clips from the hardest down."""
    drawn = points.head(DRAWN)
    names = [_end(f"{row.clip} ({row.label})") for row in drawn.itertuples()]
    with drawing(style):
        trainings = sorted(drawn["n"].unique())
        counted = (
            " to ".join(map(str, dict.fromkeys([trainings[0], trainings[-1]]))) if names else ""
        )
        note = f"the {len(drawn)} hardest; share of the answers of {counted} trainings"
        longest = max(map(len, names), default=0)
        title = "Hardest clips"
        made = page(title, note, [], (1, 1), "all", style, longest, 0.17 * len(names) + 0.25)
        panel = made.panels.flat[0]
        panel.barh(range(len(names)), 100 * drawn["value"], color=palette(1)[0], height=0.6)
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(max(len(names), 1) - 0.5, -0.5)
        panel.set_xlim(0, 102)
        panel.set_xlabel(folded(style.renamed("Answers that miss it (%)"), max(made.letters, 14)))
        sns.despine(ax=panel)
    return made.figure


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_clips(name, points)


def _end(name: str) -> str:
    name = printable(name)
    return name if len(name) <= LETTERS else f"...{name[3 - LETTERS :]}"
