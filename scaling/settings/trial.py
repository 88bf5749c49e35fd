"""Trial: everything that decides what a trial's records say, and nothing else.

Conventions: a default means "off" (or the plain choice), so that a new field never renames an old
trial; recommended values live in scaling.settings.recipes. Where a trial runs (device, precision,
threads, paths) is not part of it. Contents: Trial with its id; REVISIONS, with which ids change.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import PrivateAttr

from scaling.settings.fitting_parts import FittingParts


class Trial(FittingParts):
    """One network, trained once. Its `id` is its content: equal trials have equal ids,
    everywhere.
    """

    # Settings that its kinds lack, by their dotted names: an earlier version took them, and the id
    # that it gave counts them.
    _foreign: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def foreign(self) -> dict[str, Any]:
        """Settings of a recorded trial that its kinds lack, by their dotted names."""
        return self._foreign

    def stated(self) -> dict[str, Any]:
        """All fields that are not "off", as JSON holds them, for `Trial.model_validate`."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields that are not
        "off", and of the REVISIONS that concern this trial.
        """
        return _hashed(self, [each for each in REVISIONS if each.concerns(self)])


class Revision(NamedTuple):
    """A change of what the same settings mean: trials that it concerns have new ids, so that their
    records never replace, and are never averaged with, earlier ones.
    """

    name: str
    concerns: Callable[[Trial], bool]


REVISIONS = (
    # 2026-11-27: the share was rounded class by class, up to 25 % off; now its total is exact
    Revision(
        "exact split.fraction",
        lambda trial: trial.split.fraction < 1 and not trial.split.by_chance,
    ),
)


def earlier_ids(trial: Trial) -> list[str]:
    """The ids that a trial of these settings had before the revisions that concern it, the oldest
    first; none where nothing was revised. Their records are of other data or draws.
    """
    concerning = [each for each in REVISIONS if each.concerns(trial)]
    return [_hashed(trial, concerning[:count]) for count in range(len(concerning))]


def _hashed(trial: Trial, revisions: Sequence[Revision]) -> str:
    stated = trial.stated()
    for dotted, value in trial.foreign.items():
        part, _, name = dotted.rpartition(".")
        stated.setdefault(part, {})[name] = value
    if revisions:
        stated["revisions"] = [each.name for each in revisions]
    return hashed(stated)


def hashed(stated: Mapping[str, Any]) -> str:
    """The id of what a trial states: 12 hex digits of the SHA-256 of its canonical JSON."""
    canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
