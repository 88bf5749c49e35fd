"""Looks in words: the plan of a course, each look at its claims, and what came of it, as lines.

Conventions: effects are percentage points, those of a loss nats; intervals are of one look and one
claim. Contents: UNDECIDED, `decided`; `planned_looks`, `said`, `ended`.
"""

import math
import shlex
from collections.abc import Iterator, Sequence

from scaling.results.claims import POINTS, Claim, unit_of
from scaling.results.looks import Finding, LookRecord

UNDECIDED = "undecided"  # as analysis.claims says it


def decided(finding: Finding) -> bool:
    """Whether a look has decided a claim."""
    return finding.verdict != UNDECIDED


def planned_looks(counts: Sequence[int]) -> str:
    """`at most 12 repeats, judged at 3, 5, 8 and 12`."""
    *others, last = map(str, counts)
    judged = f"{', '.join(others)} and {last}" if others else last
    return f"at most {last} repeats, judged at {judged}"


def said(look: LookRecord, claims: Sequence[Claim]) -> Iterator[str]:
    """`look 2, 5 repeats: width helps: undecided (+3.1 points, -0.4 to +6.6 over 5 folds; needs
    p <= .0028, is .08)`, a line for each claim.
    """
    by_text = {claim.text: claim for claim in claims}
    repeats = f"{look.repeats} repeat{'s' * (look.repeats > 1)}"
    for finding in look.findings:
        line = _line(look, finding, by_text[finding.claim])
        yield f"look {look.number}, {repeats}: {finding.claim}: {finding.verdict}{line}"


def ended(look: LookRecord, where: str) -> Iterator[str]:
    """What came of a course by its last look, and the command that follows."""
    left = [finding for finding in look.findings if not decided(finding)]
    most, total = look.course.counts[-1], len(look.findings)
    yield f"{total - len(left)} of {total} claims decided, {look.repeats} of at most {most} repeats"
    if left:
        yield (
            "the budget is spent; more folds, devices or recordings may decide the rest"
            if look.repeats == most
            else "more repeats are unlikely to decide the rest; more folds, devices or recordings "
            "may"
        )
    yield f"next: overhear claims {shlex.quote(where)}"


def _line(look: LookRecord, finding: Finding, claim: Claim) -> str:
    """What stands behind a verdict."""
    if decided(finding) and finding.look < look.number:
        return f" at look {finding.look}"
    if math.isnan(finding.p):
        return f" ({finding.note or 'no test'})"
    mean, low, high = (_effect(each, claim) for each in (finding.effect, finding.low, finding.high))
    of = unit_of(claim.metric)
    unit = "%" if claim.level and of == POINTS else of.name
    needs = f"needs p <= {_p(finding.needs)}, is {_p(finding.p)}"
    if not (finding.open or decided(finding)):
        needs += (
            f"; more repeats would decide it with probability {max(finding.outlook, 0.001):.1g}"
        )
    return f" ({mean} {unit}, {low} to {high} over {finding.n} {finding.unit}; {needs})"


def _effect(value: float, claim: Claim) -> str:
    return unit_of(claim.metric).text(value, "" if claim.level else "+")


def _p(value: float) -> str:
    """Two digits: `.031`; below .0001 one, `2e-05`."""
    return f"{value:.0e}" if value < 1e-4 else f"{value:.2g}".removeprefix("0")
