"""Until decided: repeats are added to a study until its claims are, at an error rate for all looks.

A repeat is every trial of the study with one more seed, so each look is at whole crossed repeats.
What is planned, and each look, is a record (scaling.results.looks): the same command resumes at the
look that was not finished, and the plan never changes. Statistics: analysis.sequential. Knows no
Ray. Contents: Own, Until; `asked`, `described`, `follow`.
"""

import datetime
import hashlib
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import typer

from scaling.results.claims import Claim, unmet
from scaling.results.eta import duration
from scaling.results.looks import Course, Finding, LookRecord, looks, record
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.statements import noted
from scaling.settings import Trial
from sweeps.adaptive.looks_in_words import UNDECIDED, decided, ended, planned_looks, said

FUTILE = 0.05  # chance of a decision below which more repeats are not worth their time
NOT_COMPARED = ("published", "source")  # what a claim says that decides nothing


class Own(NamedTuple):
    """What is to be decided, and the trials that decide it."""

    study: str
    claims: tuple[Claim, ...]
    trials: Callable[[int], Sequence[Trial]]  # those of so many repeats


@dataclass(frozen=True)
class Until:
    """A study that is to run until its claims are decided, and what its folder has of it."""

    own: Own
    course: Course
    results: Results
    done: tuple[LookRecord, ...]  # the plan, look 0, among them
    aside: tuple[Claim, ...] = ()  # claims of the study that no look judges

    @property
    def upcoming(self) -> tuple[Trial, ...]:
        """The trials of the next look; of the last one where there is none."""
        number = min(max(1, len(self.done)), len(self.course.counts))
        return self.repeated(number)

    def repeated(self, number: int) -> tuple[Trial, ...]:
        """The trials of a look."""
        return tuple(self.own.trials(self.course.counts[number - 1]))


def asked(
    own: Own,
    results: Results,
    first: int | None = None,
    most: int | None = None,
    usual: int = 1,
) -> Until:
    """The course that is asked for. What is not given is as the folder has planned it; else the
    first look is at 3 repeats, or `usual`, those of the study itself, if they are more; the last at
    12.

    Raises ValueError for a study without claims or with one that its trials cannot decide, a budget
    below the first look, and what is not the plan that the folder holds.
    """
    from analysis import sequential

    if not own.claims:
        raise ValueError(
            f"study {own.study} states no CLAIMS for --until-decided to decide: state them in its "
            "file"
        )
    own, aside = _measured(own)
    if lines := list(unmet(own.claims, own.trials(1))):
        raise ValueError(f"--until-decided: {lines[0]}, and no repeat will change that")
    done = tuple(looks(results, own.study))
    planned = done[0].course.counts if done else ()
    begin = first or (planned[0] if planned else max(sequential.FIRST, usual))
    budget = most or (planned[-1] if planned else max(begin, sequential.MOST))
    course = Course(
        own.study,
        sequential.schedule(begin, budget),
        sequential.ALPHA,
        _digest(sorted(trial.id for trial in own.trials(1))),
        _digest([_compared(claim) for claim in own.claims]),
    )
    if done and course != done[0].course:
        raise ValueError(
            f"{results.where} plans {planned_looks(planned)}{_other(course, done[0].course)}: its "
            "promise holds for that plan alone; run it unchanged, or sweep into another folder "
            "with --out"
        )
    return Until(own, course, results, done, aside)


def _measured(own: Own) -> tuple[Own, tuple[Claim, ...]]:
    """The claims that a sweep's own records can decide, and those of fields, which are computed
    from the weights of whole trials. Raises ValueError where there are only these.
    """
    aside = tuple(claim for claim in own.claims if claim.of_field)
    if len(aside) == len(own.claims):
        raise ValueError(f"--until-decided: {_aside(aside[0])}; study {own.study} has no other")
    claims = tuple(claim for claim in own.claims if not claim.of_field)
    return own._replace(claims=claims), aside


def _aside(claim: Claim) -> str:
    return (
        f"{claim.said} is of {claim.metric}, which no sweep records: to judge it, run `overhear "
        "erf`, then `overhear claims`"
    )


def described(until: Until, seconds: float | None = None) -> list[str]:
    """The plan in lines, with what it costs where a trial is known to take so many `seconds`; of a
    course that is over, what came of it.
    """
    course, size = until.course, len(until.own.trials(1))
    claims = f"{len(until.own.claims)} claim{'s' * (len(until.own.claims) > 1)}"
    lines = [
        f"until decided: {claims}, {planned_looks(course.counts)} ({size} trials each); false "
        f"decisions at most {100 * course.alpha:g} % in all",
        *(f"not among them: {_aside(claim)}" for claim in until.aside),
    ]
    if seconds is not None:
        lines.append(
            f"a repeat takes {duration(seconds * size)} of computing, all {course.counts[-1]} "
            f"take {duration(seconds * size * course.counts[-1])}"
        )
    if until.done and _over(until.done[-1]):
        lines += ended(until.done[-1], until.results.where)
    return lines


def follow(until: Until, run: Callable[[tuple[Trial, ...]], bool]) -> bool:
    """Run repeats and judge them until the course is over; whether it is. `run` runs those of the
    trials that have not ended, and says whether all have ended well.

    Raises ValueError where trials of a repeat are not complete: a look needs whole repeats.
    """
    done = list(until.done) or [_keep(until, 0, ())]
    if before := done[0].ended:
        warnings.warn(
            f"{before} trials had ended before this was planned: the promise holds if nobody had "
            "looked at them",
            stacklevel=2,
        )
    for look in done[1:]:
        _show(until, look)
    for line in described(until):
        typer.echo(line)
    if _over(done[-1]):
        return True
    while not _over(done[-1]):
        number = len(done)
        trials = until.repeated(number)
        if not run(trials):
            return False
        _check_whole(trials, until.results)
        done.append(_keep(until, number, _judged(until, number, done[-1].findings)))
        _show(until, done[-1])
    for line in ended(done[-1], until.results.where):
        typer.echo(line)
    return True


def _show(until: Until, look: LookRecord) -> None:
    for line in said(look, until.own.claims):
        typer.echo(line)


def _keep(until: Until, number: int, findings: tuple[Finding, ...]) -> LookRecord:
    """Record a look; 0 is the plan."""
    from analysis import sequential

    counts, alpha = until.course.counts, until.course.alpha
    repeats = (0, *counts)[number]
    level = (0.0, *sequential.levels(counts, alpha))[number]
    known = len(until.results.ended(trial.id for trial in until.own.trials(counts[-1])))
    now = datetime.datetime.now(datetime.UTC)
    look = LookRecord(until.course, number, repeats, level, known, now, findings)
    record(look, until.results)
    return look


def _judged(until: Until, number: int, before: Sequence[Finding]) -> tuple[Finding, ...]:
    """All claims at this look: one that was decided stays so, with what was found then."""
    from analysis import sequential

    (study, claims, _), counts = until.own, until.course.counts
    known = {each.claim: each for each in before if decided(each)}
    left = [claim for claim in claims if claim.text not in known]
    ids = {trial.id for trial in until.repeated(number)}
    found = sequential.judged(until.results, study, ids, left, counts, number)
    rows = found.to_dict("records")
    undecided = sum(row["verdict"] == UNDECIDED for row in rows)
    level = sequential.levels(counts, until.course.alpha)[number - 1]
    for row in rows:
        known[row["claim"]] = _finding(row, number, level / max(1, undecided))
    return tuple(known[claim.text] for claim in claims)


def _finding(row: Mapping[Any, Any], number: int, needs: float) -> Finding:
    """A claim as it is judged at this look."""
    names = ("effect", "low", "high", "p", "outlook")
    numbers = {name: float(row[name]) for name in names}
    if untested := math.isnan(numbers["p"]):
        hopeless = row["needed_unit"] != "seeds"
    else:
        hopeless = numbers["outlook"] < FUTILE
    return Finding(
        claim=str(row["claim"]),
        verdict=str(row["verdict"]),
        look=number,
        n=int(row["n"]),
        unit=str(row["unit"]),
        needs=math.nan if untested else needs,
        open=row["verdict"] == UNDECIDED and not hopeless,
        note="; ".join(filter(None, (str(row["note"]), str(row["remedy"])))),
        **numbers,
    )


def _over(look: LookRecord) -> bool:
    """Whether a look was the last of its course."""
    last = look.number == len(look.course.counts)
    return last or (look.number > 0 and not any(each.open for each in look.findings))


def _check_whole(trials: Sequence[Trial], results: Results) -> None:
    """Raises ValueError where not all of them are complete."""
    outcomes = results.outcomes(trial.id for trial in trials).values()
    complete = sum(outcome.status == Status.COMPLETE for outcome in outcomes)
    if complete < len(trials):
        raise ValueError(
            f"{len(trials) - complete} of {len(trials)} trials in {results.where} are not complete "
            "(stopped early or failed), and a look needs whole repeats: sweep into another folder "
            "with --out"
        )


def _other(course: Course, planned: Course) -> str:
    """How what is asked for differs from what was planned."""
    if course.counts != planned.counts:
        return f", and not {planned_looks(course.counts)}"
    return f" of other {'claims' if course.claimed != planned.claimed else 'trials'}"


def _compared(claim: Claim) -> dict[str, Any]:
    """What of a claim decides."""
    return {name: value for name, value in noted(claim).items() if name not in NOT_COMPARED}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
