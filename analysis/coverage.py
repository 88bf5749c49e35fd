"""Coverage: where a 95 % interval is known to hold the truth more often than it says.

Simulations of every shipped design by two unlike models (tests/drawn_studies.py), at accuracies of
50 to 99 %, hold the truth in 93 to 97.5 %, of means, of paired differences and of two differences.
Designs that no shipped study has hold more where no rule could tell: three devices by three folds
or seeds, whose spread cannot be told from noise, up to 98.7 % (three by four, means near 99 %:
97.9); means above 97 % over three folds, or over three seeds with 40 clips, where one wrong answer
more or less decides, up to 99.3 %; and differences of one training a fold in whose clips four or
five answers in all differ, as of two networks of 99 % in five folds of 40 clips, up to 98.7 %.
Captions say so of all but the last case, where counts are not known.

Bands of laws hold less near the ends of their sizes and where folds are skewed, exponents least;
jackknives, deviations around the fit itself, variances pooled over sizes, and the widest of these
hold .73 to .99 of the same studies, none of them all in .93 to .975. Contents: conservative, LAWS.
"""

import re

import pandas as pd

FEW = 3  # units that are too few to tell
OF_THREE = 0.97  # accuracy from which means over three folds or seeds are conservative
LAWS = "in simulations 88 to 98 % of bands hold the truth"  # 3 or 5 folds, 4 or 7 sizes
CROSSED = re.compile(r"devices x (\d+) (?:folds|seeds)")
ALONE = ("folds", "seeds on one split")


def conservative(points: pd.DataFrame, apart: bool = False) -> str:
    """Which of these 95 % intervals are wider than they say, in a clause; "" where none is.

    `points` has low, n and unit as analysis.units.Estimate has them, its mean as `mean`, `value` or
    `effect`, and maybe `metric`; `apart`: they are differences.
    """
    known = points[points["low"].notna()]
    name = next((each for each in ("mean", "value", "effect") if each in known), "")
    shares = known["metric"] == "accuracy" if "metric" in known else [True] * len(known)
    found = dict[str, None]()
    for mean, n, unit, share in zip(known[name], known["n"], known["unit"], shares, strict=True):
        found |= dict.fromkeys(_where(mean if share and not apart else 0.0, n, unit))
    return f"conservative {' and '.join(found)}: up to 99 % hold the truth" if found else ""


def _where(mean: float, n: int, unit: str) -> list[str]:
    """What makes one interval conservative."""
    if n != FEW:
        return []
    if crossed := CROSSED.match(unit):
        return [f"over {n} {unit}"] if int(crossed[1]) == FEW else []
    near = unit in ALONE and mean > OF_THREE
    return [f"above {100 * OF_THREE:g} % over {n} {unit}"] if near else []
