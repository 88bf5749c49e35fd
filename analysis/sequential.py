"""Sequential: at which level each look at growing results tests, so that all keep one promise.

Whoever adds repeats until a test decides, testing each time at 5 %, decides falsely in far more
than 5 % of studies. Here the error rate is spent instead: look k, at n of at most N repeats, tests
at alpha (t_k^3 - t_(k-1)^3), t = n / N. Little is spent early, on few repeats, and nearly all is
left for the last look, whose test is almost that of a study without looks before it.

Sources: Lan and DeMets 1983 (spending); Kim and DeMets 1987 (the power 3, much like O'Brien and
Fleming's); Jennison and Turnbull 2000, 11.5 (levels kept, t in place of z). They solve for
boundaries by the correlation of normal statistics between looks, and so spend what was not used;
with the t of a few units that correlation does not hold: boundaries for z decide falsely in 5.6 %
of studies over 3 to 12 repeats, in up to 8 over three folds (benchmarks/looks.py). So nothing is
assumed of it: by Bonferroni's inequality the looks together decide falsely at most as often as
their levels add up to, whatever they have in common. What is asked of a test is that it is right at
each look by itself, also over units that do not grow, as folds and devices. Few looks lose little
by this, and many would: hence looks at half as many repeats again.

Several claims: Holm 1979 at each look, over the claims that are not decided yet. Each level is
proportional to alpha, so that this is the closed test of Ye et al. 2013, and of Maurer and Bretz
2013. Contents: ALPHA, FIRST, MOST; schedule, levels, chance, remarks,
judged.
"""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtrit

from scaling.results.looks import looks

if TYPE_CHECKING:
    import pandas as pd

    from analysis.data import Data
    from scaling.results.claims import Claim
    from scaling.results.folder import Folder
    from scaling.results.records import Results

ALPHA = 0.05
FIRST = 3  # repeats at the first look: fewer give no interval over repeats
MOST = 12  # repeats in all: see docs/adaptive.md for what they can see
GROWTH = 1.5  # from a look to the next
SPARE = 1.25  # a last look is not closer to the one before
POWER = 3


def schedule(first: int, most: int) -> tuple[int, ...]:
    """The number of repeats at each look: 3, 5, 8, 12 for first=3, most=12.

    Raises ValueError where the budget does not reach the first look.
    """
    if not 1 <= first <= most:
        raise ValueError(f"--at-most {most}: the first look needs {first} repeats, allow as many")
    counts = [first]
    while counts[-1] < most:
        following = math.ceil(counts[-1] * GROWTH)
        counts.append(following if most > following * SPARE else most)
    return tuple(counts)


def levels(counts: Sequence[int], alpha: float = ALPHA) -> tuple[float, ...]:
    """What each look tests at, all claims together; they add up to alpha."""
    spent = [alpha * (count / counts[-1]) ** POWER for count in (0, *counts)]
    return tuple(after - before for before, after in itertools.pairwise(spent))


def chance(
    effect: float,
    error: float,
    error_then: float,
    freedom_then: float,
    level_then: float,
    within: float = 0.0,
) -> float:
    """The probability that a later look decides, by what is known now.

    `effect` is that beyond what is claimed (of a margin `within`, the effect itself), `error` its
    standard error, both now; `error_then` is smaller, or the same where repeats add nothing;
    `freedom_then` are its degrees of freedom. By the predictive distribution of Spiegelhalter et
    al. 1986. To stop for a small one decides nothing, and so costs no error rate.
    """
    needed = -float(stdtrit(freedom_then, level_then / 2)) * error_then
    moves = math.sqrt(max(error**2 - error_then**2, 0.0))
    outside, inside = within + needed, max(within - needed, 0.0)
    if moves == 0:
        return float(abs(effect) >= outside or abs(effect) < inside)
    sides = np.array([abs(effect) - outside, -abs(effect) - outside]) / moves
    middle = np.array([inside - abs(effect), -inside - abs(effect)]) / moves
    return float(ndtr(sides).sum() + ndtr(middle[0]) - ndtr(middle[1]))


def remarks(results: "Folder", studies: Collection[str]) -> Iterator[str]:
    """A line for each of these studies whose claims were judged in looks: when, and what the last
    one found. Errors: those of scaling.results.looks.looks.
    """
    for name, of_study in itertools.groupby(looks(results), lambda each: each.course.study):
        if name not in studies:
            continue
        *_, last = of_study
        counts, found = last.course.counts, Counter(each.verdict for each in last.findings)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found.items())
        at = ", ".join(map(str, counts[: last.number]))
        state = (
            f"judged at {at} of at most {counts[-1]} repeats: {verdicts}" if at else "not judged"
        )
        yield (
            f"{name} runs until its claims are decided, {state}; false decisions are at most "
            f"{100 * last.course.alpha:g} % in all by its looks, not by the table"
        )


def judged(
    results: "Results",
    study: str,
    trials: Collection[str],
    claims: Sequence["Claim"],
    counts: Sequence[int],
    number: int,
) -> "pd.DataFrame":
    """Claims at look `number` (1, 2, ...) of those at so many repeats, by these trials (ids) alone,
    as a folder may hold more. Columns of analysis.claims: `verdict` is at the level of this look,
    all else as of a single one; and `outlook`, the chance that the last look decides a claim that
    this one does not (nan: not known, or this is the last). Errors: those of analysis.claims.judge.
    """
    from analysis import reading, table
    from analysis.claims import Verdict, holm, judge, sided
    from analysis.data import Data

    planned = reading.load(results, (study,))
    own = planned.manifest["trial"].isin(trials)
    snapshot = planned._replace(manifest=planned.manifest[own].reset_index(drop=True))
    data = Data(snapshot, table.stated_last(snapshot))
    steps = levels(counts)
    rows = judge(data, {study: claims})
    sure = holm(rows["p"].tolist()) <= steps[number - 1]
    sides = [sided(row) for row in rows.to_dict("records")]
    over, last = number == len(counts), steps[-1] / max(1, int((~sure).sum()))
    outlooks = [
        math.nan if known or over else _outlook(data, claim, counts[-1], last)
        for claim, known in zip(claims, sure, strict=True)
    ]
    verdicts = np.where(sure, sides, Verdict.UNDECIDED)
    return rows.assign(verdict=verdicts, outlook=outlooks)


def _outlook(data: "Data", claim: "Claim", repeats: int, level: float) -> float:
    """The chance that so many repeats decide a claim at this level."""
    from analysis import claims, variance
    from analysis.evidence import Unjudged, evidence
    from analysis.metrics import Unrecorded

    try:
        row = claims.assessed(evidence(data, data.manifest["trial"], claim), claim)
    except (Unjudged, Unrecorded):
        return math.nan
    if "parts" not in row:
        return math.nan
    parts, kind = row["parts"], row["kind"]
    now = variance.expected(parts, kind, parts.layout)
    then = variance.expected(parts, kind, parts.layout._replace(seeds=repeats))
    beyond = row["effect"] - claim.at_least
    errors = float(now.size), float(then.size), float(then.freedom)
    return chance(beyond, *errors, level, claim.within or 0.0)
