"""Published gains beside ours: what one model of a table has over another, paired by split.

Sources and conventions: those of analysis.tables.published. A pair is two runs of one split and
seed, alike but for what regularizes them; the paper's gain is the difference of its two numbers.
The best baseline of a run is the one that wins on its validation clips, the paper's the best of
its table. Contents: GAINS, gains.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.conditions import FOLLOWING, OBJECTIVE
from analysis.scales import DIFFERENCE, Scale
from analysis.selection import select
from analysis.tables import papers, published
from analysis.units import Estimate, estimate
from scaling import settings

BEST = "best baseline"
BASELINES = ("CNN", "CNN+Dropout", "CNN+WeightDecay")
AGAINST = ("network.dropout", "training.weight_decay")
NONE, *TRANSFORMS = papers.TRANSFORMS.values()
# a table's models, and what each is compared with
GAINS: dict[str, tuple[tuple[str, str], ...]] = {
    "vib_table3": tuple(("CNN+VIB", each) for each in (*BASELINES, BEST)),
    "consistency_table1": (
        *((f"{each}-CL", f"{each}-BDA") for each in TRANSFORMS),
        *((f"{each}-BDA", each) for each in TRANSFORMS),
        *((f"{each}{how}", NONE) for each in TRANSFORMS for how in ("", "-BDA", "-CL")),
    ),
}
COLUMNS = ["dataset", "published_for", "protocol", "width", "model", "reference", "fraction", "at"]


def gains(name: str, scores: pd.DataFrame, macro_f1: pd.DataFrame | None = None) -> pd.DataFrame:
    """What models of a table of PUBLISHED have over others, the paper's beside ours.

    Arguments as of published.beside. Columns: dataset, published_for, protocol, width, model,
    reference, fraction, at, metric; published (the paper's gain); mean, low, high, n, unit (ours,
    paired: see analysis.units). Scores are fractions. Empty where no two runs are a pair.
    Raises ValueError as published.beside.
    """
    by = [*COLUMNS, "metric", "published"]
    columns = [*by, *Estimate._fields]
    if name not in GAINS:
        return pd.DataFrame(columns=columns)
    runs = published.matched(name, scores, macro_f1)
    if name == "vib_table3":
        runs = pd.concat([runs, _best(name, runs, scores)], ignore_index=True)
    pairs = _paired(runs, GAINS[name]).sort_values(["metric", "place", *COLUMNS])
    rows = [
        dict(zip(by, key, strict=True)) | estimate(each, _scale(each))._asdict()
        for key, each in pairs.groupby(by, sort=False, dropna=False)
    ]
    return pd.DataFrame(rows, columns=columns)


def _paired(runs: pd.DataFrame, wanted: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Pairs of runs of these models, in their order, as runs whose value is their difference."""
    shared = [each for each in settings.leaves() if each not in (*OBJECTIVE, *FOLLOWING)]
    keyed = runs.assign(key=runs.groupby(shared, dropna=False).ngroup())
    pairs = keyed.merge(keyed, on=["key", "metric"], suffixes=("", "_reference"))
    order = {pair: place for place, pair in enumerate(wanted)}
    both = zip(pairs["model"], pairs["model_reference"], strict=True)
    ats = zip(pairs["at"], pairs["at_reference"], strict=True)
    # a copy, as merging a hundred columns leaves them scattered
    made = pairs.copy().assign(
        place=[order.get(each, -1) for each in both],
        at=[", ".join(filter(None, dict.fromkeys(each))) for each in ats],
        value=pairs["value"] - pairs["value_reference"],
        published=pairs["published"] - pairs["published_reference"],
        reference=pairs["model_reference"],
    )
    return made[made["place"] >= 0].rename(columns=published.ABOUT)


def _best(name: str, runs: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of the baselines that win on validation clips, under the name of BEST, with the best
    number of the paper; none where a baseline was not validated.
    """
    ours = published.of_table(name, scores)
    try:
        won = select(ours[ours["model"].isin(BASELINES)], AGAINST)["trial"]
    except ValueError:
        return runs[:0]
    theirs = papers.numbers(name)
    cell = [*papers.MATCHED[::2], "metric"]
    best = theirs[theirs["model"].isin(BASELINES)].groupby(cell)["published"].max()
    rows = runs[runs["trial"].isin(won)].drop(columns="published")
    return rows.assign(model=BEST).merge(best.reset_index(), on=cell)


def _scale(pairs: pd.DataFrame) -> Scale:
    """The scale of a difference: macro F1 is no share of clips."""
    return DIFFERENCE._replace(share=pairs["metric"].iloc[0] == "accuracy")
