"""Arms: other ways to do a study's trials, as its paper has or may have them, beside ours.

A study states ARMS; each has a name, the settings that make it, and where it stands. Contents: Arm,
`in_arm`, `written`, `described`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scaling.part import written as value
from scaling.settings import Trial, changed


class Arm(NamedTuple):
    """One way to do what a study does."""

    name: str  # "one pass"
    changes: Mapping[str, Any]  # dotted settings against ours
    source: str  # where it stands, or why it is done


def in_arm(arm: Arm, trials: Iterable[Trial]) -> Iterator[Trial]:
    """The trials in this arm."""
    for trial in trials:
        yield changed(trial, arm.changes)


def written(arm: Arm) -> str:
    """Its settings as a person types them: `training.passes=1`."""
    return " ".join(f"{name}={value(each)}" for name, each in arm.changes.items())


def described(arms: Sequence[Arm]) -> list[str]:
    """Arms in two lines each, below their number; nothing where there are none."""
    lines = [f"arms beside ours: {len(arms)}"] if arms else []
    for arm in arms:
        lines += [f"- {arm.name}: {written(arm)}", f"  {arm.source}"]
    return lines
