"""Distillation on ESC-10: a narrow CP-ResNet with one teacher, with three, and without."""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10

QUESTION = "Does a narrow network learn more from wide teachers than from labels alone? How many?"
SOURCE = "Schmid et al. 2023 (CP-Mobile; same lambda, T and mean), for CP-ResNet"
FOLDS = (1, 2, 3, 4, 5)
WIDE, NARROW = 32, 8
SEEDS = (0, 1, 2)  # of the teachers


def teachers(fold: int) -> list[Trial]:
    """The wide networks of a fold."""
    base = changed(ESC10, {"network.width": WIDE, "split.fold": fold})
    return [changed(base, {"seed": seed}) for seed in SEEDS]


def student(fold: int, count: int) -> Trial:
    """The narrow network of a fold, taught by so many of its wide ones."""
    plain = changed(ESC10, {"network.width": NARROW, "split.fold": fold})
    taught = tuple(teacher.id for teacher in teachers(fold)[:count])
    return changed(plain, {**_with(count), "objective.teachers": taught}) if count else plain


def _with(count: int) -> dict[str, Any]:
    """The students with so many teachers."""
    if not count:
        return {"objective.kind": "cross_entropy"}
    return {"objective.kind": "distillation", "objective.ensemble": count}


CLAIMS = tuple(
    Claim(
        text, _with(better), _with(worse), on="test", where={"network.width": NARROW}, source=SOURCE
    )
    for text, better, worse in (
        ("one teacher helps", 1, 0),
        ("three teachers help", 3, 0),
        ("three teachers help more than one", 3, 1),
    )
)


def trials() -> Iterator[Trial]:
    """Five folds, each with three teachers and three students."""
    for fold in FOLDS:
        yield from teachers(fold)
        yield from (student(fold, count) for count in (0, 1, 3))
