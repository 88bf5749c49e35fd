"""Consistency learning as Table 1 may have been made: ESC-50, each open point an arm."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BATCHED, CONSISTENCY_ESC50, CONSISTENT, VIEWS
from sweeps.arms import Arm, in_arm
from sweeps.claimed import at_each
from sweeps.studies.consistency_table import AGREEING, BATCHING, STANDARD, TRANSFORMS, VIEWED
from sweeps.study import product, repeats

QUESTION = "Does consistency learning gain what Table 1 reports, with every detail as in the paper?"
SOURCE = "Iqbal et al. 2021 (ICASSP, arXiv 2102.05151), Table 1 and sections 3 and 4"
ONE_PASS = Arm(
    "one pass",
    {"training.passes": 1},
    "Iqbal et al. 2021, section 4.2, read literally: batches of 120 for all, so that views take "
    "three times the steps; ours takes as many steps for all",
)
ONE_COPY = Arm(
    "one copy",
    {"objective.copies": 1},
    "Iqbal et al. 2021, sections 3.1 and 4.4: two copies made a large difference; no number",
)
NO_RAMP = Arm(
    "no ramp",
    {"objective.ramp": 0},
    "Iqbal et al. 2021, section 3.3: the ramp was a measurable improvement; no number",
)
HEAVIER = Arm(
    "lambda 7.5",
    {"objective.weight": 7.5},
    "Iqbal et al. 2021, section 4.2: lambda = 7.5 gave similar results; no number",
)
ARMS = (ONE_PASS, ONE_COPY, NO_RAMP, HEAVIER)

OURS = {"objective.weight": CONSISTENT.weight, "objective.ramp": CONSISTENT.ramp}
AGREED = {"objective.kind": "consistency", "objective.copies": VIEWS - 1, **OURS}
ONCE = {**STANDARD, **ONE_PASS.changes}
SIMILAR = 0.01  # of accuracy


def claims(transforms: Sequence[str]) -> Iterator[Claim]:
    """Table 1 against standard augmentation in one pass; then what the paper says in words."""
    views = {**VIEWED, "objective.copies": VIEWS - 1}
    batched = Claim(
        "batched augmentation beats standard in one pass",
        views,
        ONCE,
        on="test",
        source="Iqbal et al. 2021, Table 1",
    )
    mean = sum(BATCHING[each] for each in transforms) / len(transforms)
    every = {"augment.transform": tuple(transforms)}
    yield replace(batched, where=every, published=round(mean, 4))
    if len(transforms) > 1:
        for each in at_each([batched], "augment.transform", transforms):
            yield replace(each, published=BATCHING[each.where["augment.transform"]])
    gain = sum(AGREEING[each] for each in transforms) / len(transforms) + mean
    text = "consistency beats standard augmentation in one pass"
    agreed = replace(batched, text=text, better=AGREED)
    yield replace(agreed, where=every, published=round(gain, 4))
    thrice = {**STANDARD, "training.passes": VIEWS}
    yield Claim("three passes of standard augmentation beat one", thrice, ONCE, "test", where=every)
    last = {"augment.transform": transforms[-1]}
    for text, arm in (("two copies beat one", ONE_COPY), ("the ramp helps", NO_RAMP)):
        other = {**AGREED, **arm.changes}
        yield Claim(text, AGREED, other, "test", where=last, source=arm.source)
    heavier = {**AGREED, **HEAVIER.changes}
    claim = Claim(
        "lambda 7.5 does as well as 5, within a point", heavier, AGREED, "test", where=last
    )
    yield replace(claim, within=SIMILAR, source=HEAVIER.source)


CLAIMS = tuple(claims(TRANSFORMS))


def models(trial: Trial, transforms: Sequence[str]) -> Iterator[Trial]:
    """Ours, as in consistency_table, with each transform; standard augmentation in one pass; then
    with the last transform the arms of consistency, each with as many clips a step as ours.
    """
    standard = changed(trial, {"training.passes": VIEWS})
    views = changed(trial, {"training.batch": trial.training.batch // VIEWS})
    for transform in transforms:
        alike = {"augment.transform": transform, "evaluation.disagreement": transform}
        ours = changed(standard, {**alike, "augment.transform_share": 1 - 1 / VIEWS})
        yield ours
        yield from in_arm(ONE_PASS, [ours])
        for objective in (BATCHED, CONSISTENT):
            yield changed(views.model_copy(update={"objective": objective}), alike)
    agreed = changed(views.model_copy(update={"objective": CONSISTENT}), alike)
    for arm in (ONE_COPY, NO_RAMP, HEAVIER):
        yield from in_arm(arm, [agreed])


def trials() -> Iterator[Trial]:
    """Four transforms and four arms on five folds, three seeds; most are trials of
    consistency_table.
    """
    for trial in models(CONSISTENCY_ESC50, TRANSFORMS):
        yield from repeats(product(trial, split__fold=(1, 2, 3, 4, 5)), 3)
