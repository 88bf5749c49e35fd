"""Looks: when a sweep that runs until its claims are decided judged them, and what it found.

Look 0 is the plan, kept before anything runs: how many repeats there may be, when they are judged,
and the error rate. It may not change, as what it promises holds for it alone. Each look is a file,
`looks/<study>-<number>.json`, sealed. Contents: Course, Finding, LookRecord; `record`, `looks`.
Knows neither torch nor pandas. Statistics: analysis.sequential.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from scaling.text import file_name

if TYPE_CHECKING:
    from scaling.results.folder import Folder

KIND = "looks"  # the folder of the files
LAYOUT = 1  # of a file; raised when an older reader would misread a newer one
BYTES = 2**20  # of a file that is read
MOST = 1000  # findings of a look that are read


@dataclass(frozen=True)
class Course:
    """What is fixed before the first trial runs."""

    study: str
    counts: tuple[int, ...]  # repeats at each look; the last is the budget
    alpha: float  # false decisions that all looks and claims together may make
    compared: str  # digest of the trials of one repeat
    claimed: str  # digest of the claims


@dataclass(frozen=True)
class Finding:
    """What a look says of a claim; once it is decided, what that look said."""

    claim: str  # its text
    verdict: str  # of analysis.claims
    look: int  # that found this
    effect: float  # a fraction, or nats; nan: not known
    low: float
    high: float
    n: int
    unit: str
    p: float  # of this claim alone
    needs: float  # the largest p that decides at this look
    open: bool  # whether more repeats may decide it
    outlook: float = math.nan  # the chance that the last look decides it; nan: not known, or over
    note: str = ""


@dataclass(frozen=True)
class LookRecord:
    """One look, the plan it belongs to, and all claims as they stand then."""

    course: Course
    number: int  # 0: the plan; then 1, 2, ...
    repeats: int
    level: float  # of its tests, all claims together
    ended: int  # trials of the study that had ended by then
    when: datetime.datetime
    findings: tuple[Finding, ...] = ()


def record(look: LookRecord, results: "Folder") -> None:
    """Keep a look, whole."""
    from scaling.results import seal

    note = {
        **asdict(look),
        "overhear": LAYOUT,
        "when": look.when.isoformat(),
        "findings": [_nulled(asdict(finding)) for finding in look.findings],
    }
    name = f"{file_name(look.course.study)}-{look.number}.json"
    results.put(seal.note(note), KIND, name)


def looks(results: "Folder", study: str = "") -> list[LookRecord]:
    """The looks of a results folder (of a study), in order; none where claims are judged once.

    Raises Damaged for a file that is not what was written, and ValueError for one that is missing
    or of another plan than the others.
    """
    from scaling.results.folder import Damaged

    by_study: dict[str, list[LookRecord]] = {}
    for name in results.names(KIND, ".json"):
        if (look := _read(name, results)) and study in ("", look.course.study):
            by_study.setdefault(look.course.study, []).append(look)
    found = []
    for each in by_study.values():
        each.sort(key=lambda look: look.number)
        if [look.number for look in each] != list(range(len(each))):
            raise Damaged(
                f"{results.path(KIND)} lacks a look of study {each[0].course.study}: restore it "
                "from a copy, or sweep into another folder"
            )
        if any(look.course != each[0].course for look in each):
            raise Damaged(
                f"{results.path(KIND)} holds looks of two plans of study {each[0].course.study}: "
                "restore it from a copy, or sweep into another folder"
            )
        found += each
    return found


def _read(name: str, results: "Folder") -> LookRecord | None:
    from scaling.results import seal
    from scaling.results.folder import Damaged

    content = results.get(KIND, f"{name}.json", most=BYTES)
    if content is None:  # removed meanwhile
        return None
    try:
        note = seal.noted(content)
        if type(layout := note.pop("overhear")) is not int or layout > LAYOUT:
            raise ValueError("a newer version of Overhear wrote it: update Overhear")
        look = _look(note)
        if name != f"{file_name(look.course.study)}-{look.number}":
            raise ValueError("it is of another look than its name says")
        return look
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        path = f"{results.path(KIND, name)}.json"
        raise Damaged(
            f"{path} cannot be read ({error}): restore it from a copy, or sweep into another folder"
        ) from None


def _look(note: Mapping[str, Any]) -> LookRecord:
    """A look from its JSON form. Raises ValueError, TypeError or KeyError."""
    course, listed = dict(note["course"]), note["findings"]
    if not isinstance(listed, list) or len(listed) > MOST:
        raise ValueError(f"findings are a list of at most {MOST}")
    course["counts"] = tuple(_whole(count) for count in course["counts"])
    made = LookRecord(
        Course(**course),
        _whole(note["number"]),
        _whole(note["repeats"]),
        float(note["level"]),
        _whole(note["ended"]),
        datetime.datetime.fromisoformat(note["when"]),
        tuple(Finding(**_filled(row)) for row in listed),
    )
    words = [made.course.study, made.course.compared, made.course.claimed]
    words += [w for each in made.findings for w in (each.claim, each.verdict, each.unit, each.note)]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("its words must be text")
    counts = made.course.counts
    planned = (0, *counts)[made.number] if made.number <= len(counts) else -1
    if not counts or made.repeats != planned or not 0 < float(made.course.alpha) < 1:
        raise ValueError("it does not fit its plan")
    return made


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.60} must be a whole number")
    return value


NUMBERS = [each.name for each in fields(Finding) if each.type is float]


def _nulled(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no nan."""
    return {k: None if k in NUMBERS and math.isnan(v) else v for k, v in row.items()}


def _filled(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("a finding must be a JSON object")
    made = {k: math.nan if v is None and k in NUMBERS else v for k, v in row.items()}
    whole = {name: _whole(made[name]) for name in ("look", "n")}
    return made | whole | {name: float(made[name]) for name in NUMBERS}
