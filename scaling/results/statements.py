"""Statements: the claims of a study, kept with its results before its trials run.

Each launch keeps them in `claims/<launch>.json`, sealed, with how many of its trials had ended by
then: what is stated after results were seen shows it. Contents: Stated, `state`, `stated`;
`moment`, `noted`, `claim_of`. Knows neither torch nor pandas.
"""

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from scaling.results.claims import MOST, SELECTORS, Claim

if TYPE_CHECKING:
    from scaling.results.folder import Folder

KIND = "claims"  # the folder of the files
LAYOUT = 1  # of a file; raised when an older reader would misread a newer one
BYTES = 2**20  # of a file that is read
NEWER = ("within", "than")  # fields that a claim of the first layout has not


class Stated(NamedTuple):
    """A claim as a results folder holds it."""

    study: str
    claim: Claim
    when: datetime.datetime  # of the first launch that stated it in these words and numbers
    ended: int  # trials of that launch that had ended by then
    earlier: int  # other claims of the same text that were stated before


def state(study: str, claims: Iterable[Claim], ended: int, results: "Folder") -> None:
    """Keep a study's claims, of whose trials `ended` have ended, unless the folder has them."""
    from scaling.results import seal

    known = [each.claim for each in stated(results) if each.study == study]
    listed = list(claims)
    if all(claim in known for claim in listed):
        return
    now = datetime.datetime.now(datetime.UTC)
    note = {
        "overhear": LAYOUT,
        "study": study,
        "stated": now.isoformat(),
        "ended": ended,
        "claims": [noted(claim) for claim in listed],
    }
    name = f"{now:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:6]}.json"
    results.put(seal.note(note), KIND, name)


def stated(*folders: "Folder") -> list[Stated]:
    """The claims of results folders, in the order of their first statement; of several with one
    study and text the last. Raises Damaged for a file that is not what was written.
    """
    found: dict[tuple[str, str], Stated] = {}
    files = [(name, folder) for folder in folders for name in folder.names(KIND, ".json")]
    for name, folder in sorted(files, key=lambda file: file[0]):  # a name begins with its time
        for each in _read(name, folder):
            known = found.get(key := (each.study, each.claim.text))
            if known is None:
                found[key] = each
            elif known.claim != each.claim:
                found[key] = each._replace(earlier=known.earlier + 1)
    return list(found.values())


def _read(name: str, results: "Folder") -> list[Stated]:
    from scaling.results import seal
    from scaling.results.folder import Damaged

    content = results.get(KIND, f"{name}.json", most=BYTES)
    if content is None:  # removed meanwhile
        return []
    path = f"{results.path(KIND, name)}.json"
    try:
        note = seal.noted(content)
        if type(note.get("overhear")) is int and note["overhear"] > LAYOUT:
            raise ValueError("a newer version of Overhear wrote it: update Overhear")
        study, ended, listed = (note[key] for key in ("study", "ended", "claims"))
        when = moment(note["stated"])
        if not isinstance(study, str) or type(ended) is not int or not isinstance(listed, list):
            raise ValueError("study, ended and claims must be a text, a number and a list")
        if len(listed) > MOST or ended < 0:
            raise ValueError(f"at most {MOST} claims and no less than 0 trials")
        return [Stated(study, claim_of(row), when, ended, 0) for row in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{path} cannot be read ({error}): restore it from a copy, or delete it, and sweep "
            "again, which states the claims"
        ) from None


def moment(text: Any) -> datetime.datetime:
    """When something was stated. Raises ValueError for a date that names no zone."""
    if not isinstance(text, str):
        raise ValueError(f"stated={text!r:.60} must be a date, such as 2026-11-28T09:00:00+00:00")
    when = datetime.datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"stated={text:.60} names no time zone, such as +00:00")
    return when


def noted(claim: Claim) -> dict[str, Any]:
    """A claim as JSON has it; without what it leaves open of what older readers do not know."""
    return {n: v for n, v in asdict(claim).items() if n not in NEWER or v not in (None, {})}


def claim_of(row: Any) -> Claim:
    """A claim from its JSON form. Raises ValueError or TypeError."""
    if not isinstance(row, dict):
        raise ValueError("a claim must be a JSON object")
    if unknown := row.keys() - {each.name for each in fields(Claim)}:
        raise ValueError(f"a claim has no {sorted(unknown)[0]!r:.60}")
    made = dict(row)
    for side in SELECTORS:
        selector = row.get(side, {})
        if isinstance(selector, dict):
            made[side] = {n: tuple(v) if isinstance(v, list) else v for n, v in selector.items()}
    if isinstance(choose := row.get("choose", []), list):
        made["choose"] = tuple(choose)
    return Claim(**made)
