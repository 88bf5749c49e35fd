"""Distillation: its loss, what teachers answer to, which ones are refused, and when they train."""

import re
from pathlib import Path

import pytest
import torch

from scaling import machine
from scaling.networks.modules.output import Output
from scaling.objectives.distillation import Distillation
from scaling.results import teachers, weights
from scaling.results.manifest import plan, record
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import classifier, methods, shape
from scaling.training.inputs import Listener
from scaling.training.session import Session
from scaling.training.teachers import Teacher, Teachers
from sweeps import lineage
from sweeps.study import Study, trials_of

A, B = "0123456789ab", "ba9876543210"
T = 2.0


@pytest.fixture
def teacher(trial: Trial) -> Trial:
    """Wider than its students."""
    return changed(trial, {"network.width": 4, "training.epochs": 1, "training.warmup": 0})


def pupil(trial: Trial, *sources: Trial, **changes: object) -> Trial:
    """A trial that these teach."""
    names = tuple(each.id for each in sources)
    taught = {"objective.teachers": names, "objective.ensemble": len(names)}
    return changed(trial, {"objective.kind": "distillation", **taught, **changes})


def planned(folder: Path, store: Store, *trials: Trial) -> Results:
    """A results folder that lists these trials."""
    results = Results(folder)
    results.prepare()
    made = plan("s", trials, {trials[0].sound.recordings: store.table})
    record(made, {trial.id: "0" * 12 for trial in trials}, results)
    return results


@pytest.mark.parametrize(("mean", "over"), [("clips", 1), ("clips_and_classes", 5)])
def test_loss_and_gradients_are_the_formulas(mean: str, over: int):
    """lambda CE + (1 - lambda) T^2 sum p_T (ln p_T - ln q_T), in float64 and by hand: its gradient
    by a logit is lambda (q - y) / B + (1 - lambda) T (q_T - p_T) / (B, or B Y).
    """
    torch.manual_seed(0)
    logits_BY = torch.randn(6, 5, requires_grad=True)
    taught = [3 * torch.randn(6, 5), torch.randn(6, 5)]
    targets_BY = torch.rand(6, 5).softmax(dim=1)
    objective = Distillation(
        teachers=(A, B), ensemble=2, label_weight=0.3, temperature=T, mean=mean
    )
    found = objective.distilled([Output(logits_BY, torch.empty(0))], targets_BY, taught)
    total = sum(found.parts.values())
    total.backward()
    x = logits_BY.detach().double()
    p = sum((each.double() / T).softmax(1) for each in taught) / 2
    q, q_T = x.softmax(1), (x / T).softmax(1)
    hard = -(targets_BY.double() * q.log()).sum() / 6
    soft = T**2 * (p * (p.log() - q_T.log())).sum() / (6 * over)
    assert total.item() == pytest.approx(float(0.3 * hard + 0.7 * soft), abs=1e-6)
    assert found.measured["distillation"].item() == pytest.approx(float(soft), abs=1e-6)
    by_hand = 0.3 * (q - targets_BY) / 6 + 0.7 * T * (q_T - p) / (6 * over)
    assert torch.allclose(logits_BY.grad.double(), by_hand, rtol=0, atol=1e-6)


def test_teachers_hear_the_view_of_their_student(
    teacher: Trial, trial: Trial, store: Store, here: machine.Machine
):
    """Mixed and standardized for the student, as each has it standardized for itself; in
    evaluation mode, without a gradient, and nothing of theirs changes.
    """
    heard = Listener(trial, store, here)
    state = classifier.untrained(teacher, len(heard.labels), heard.frontend, here).state_dict()
    state["standardize.mean_F"] += 3
    state["standardize.std_F"] *= 2
    taught = pupil(trial, teacher)
    session = Session(
        taught, Listener(taught, store, here), here, None, None, [Teacher(teacher, state)]
    )
    step = next(session.steps())
    (logits_BY,) = step.teachers
    (model,) = session.teachers.models
    own = session.model.standardize
    raw = step.views[0] * own.std_F + own.mean_F
    alone = classifier.untrained(teacher, len(heard.labels), heard.frontend, here)
    alone.load_state_dict(state)
    with torch.no_grad():
        expected = alone.eval().network((raw[:, None] - 3) / 2).logits_BY
    assert torch.allclose(logits_BY, expected, atol=1e-5)
    assert not logits_BY.requires_grad
    before = {name: value.clone() for name, value in model.state_dict().items()}
    session.update(step)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (step.targets_BY.max(dim=1).values < 1).any()  # mixed
    none = Teachers([], own, heard, here)
    assert none(step.views[0]) == []


def test_teachers_first_then_a_student_that_resumes_to_the_bit(
    teacher: Trial, trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    second = changed(teacher, {"seed": 9})
    student = pupil(trial, teacher, second, **{"training.epochs": 2})
    stages = [[each.id for each in stage] for stage in lineage.stages([student, teacher, second])]
    assert stages == [[teacher.id, second.id], [student.id]]
    results = planned(tmp_path, store, student, teacher, second)
    (early,) = run_trial(student, store, here, Results(tmp_path / "early"))
    line = f"ValueError: objective.teachers={student.objective.sources[0]}: .* has no weights of it"
    assert re.match(line, early.error or "")
    assert "sweep it first, into the same --out" in (early.error or "")
    for each in (teacher, second):
        *_, told = run_trial(each, store, here, results)
        assert told.status == "complete", told.error
    *_, told = run_trial(student, store, here, results)
    assert told.status == "complete", told.error
    whole = weights.load(student.id, results)
    taught = teachers.of(student, results)
    first = next(methods.run(student, store, here, None, None, taught))
    assert {"weighted_distillation", "weighted_cross_entropy"} <= {m.metric for m in first.metrics}
    (last,) = methods.run(student, store, here, first.state, None, taught)
    assert whole is not None
    assert all(torch.equal(last.state["model"][name], value) for name, value in whole.items())
    teachers.check([student], results)
    assert shape.shape(student, 99) is None
    assert shape.shape(teacher, 99) is not None


def test_leaks_and_other_sound_are_refused_by_name(trial: Trial, store: Store, tmp_path: Path):
    heard = {"split.train_devices": (), "microphones.train": "x,y", "microphones.share": 0.5}
    on = {"split.train_devices": (), "microphones.test": "y,z"}
    fold = changed(trial, {"split.fold": 2})
    low = changed(trial, {"sound.features.hop": 256})
    fraction = changed(trial, {"split.clips_per_class": 2, "training.batch": 4})
    wide = changed(trial, heard)
    heir = changed(trial, {"split.train_devices": (), "transfer.trial": wide.id})
    moved = changed(trial, {"transfer.trial": fold.id})
    near = changed(trial, {"transfer.trial": fraction.id, "seed": 8})
    examples = {"objective.kind": "prototypes", "objective.embedding": 4}
    shown = changed(trial, {**examples, "network.initialization": "he"})
    cases = [
        (pupil(trial, fold), f"{fold.id} may have been trained on clips .* split.fold=2 there, 1 "),
        (pupil(trial, fraction), "split.clips_per_class=2 there, 0 here; .* of the same split"),
        (pupil(trial, low), "hears otherwise: sound.features.hop=256 there, 512 here; name "),
        (pupil(trial, wide, **on), f"{wide.id} was trained through y, which this trial is tested"),
        (pupil(trial, heir, **on), f"{heir.id}, through {wide.id} that it learnt from, was tra"),
        (pupil(trial, moved), f"{moved.id}, through {fold.id} .* split.fold=2 there, 1 here"),
        (pupil(trial, shown), f"{shown.id} has objective.kind=prototypes, which answers by its"),
    ]
    all_ = [fold, low, fraction, wide, heir, moved, near, shown]
    for student, line in cases:
        with pytest.raises(ValueError, match=line) as refused:
            teachers.check([student, *all_], Results(tmp_path))
        assert str(refused.value).startswith("objective.teachers=")
        assert "\n" not in str(refused.value)
    teachers.check([pupil(trial, near), *all_], Results(tmp_path))
    results = planned(tmp_path, store, fold)
    with pytest.raises(ValueError, match=f"{fold.id}: .* has no weights of it: sweep it first"):
        teachers.check([pupil(trial, fold)], results)
    with pytest.raises(ValueError, match=r"split\.fold=2 there"):
        teachers.of(pupil(trial, fold), results)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"objective.teachers": ""}, "kind=distillation needs teachers: name one or more trials"),
        ({"objective.teachers": "xyz"}, "teachers='xyz': a trial's id has 12 digits"),
        ({"objective.teachers": f"{A},{A}"}, f"teachers names {A} twice"),
        ({"objective.teachers": f"{A},{B}"}, "teachers names 2, ensemble=1: state how many"),
        ({"objective.label_weight": 1}, "objective.label_weight=1.*: must be below 1"),
        ({"sound.features.trainable": "mel"}, "trainable=mel: objective.kind=distillation has"),
    ],
)
def test_mistakes_are_one_line(trial: Trial, changes: dict[str, object], line: str):
    stated = {"objective.kind": "distillation", "objective.teachers": A}
    with pytest.raises(ValueError, match=line) as refused:
        changed(trial, stated | changes)
    assert "\n" not in str(refused.value)


def test_altered_and_repeated_students_follow_their_teachers(teacher: Trial, trial: Trial):
    """The order of teachers is nobody's choice; those of an ensemble keep their seeds."""
    second = changed(teacher, {"seed": 9})
    student = pupil(trial, teacher, second)
    assert pupil(trial, second, teacher).id == student.id
    study = Study("s", "?", "!", lambda: [student, teacher, second])
    altered = trials_of(study, {"training.rate": 1e-3}, 2)
    taught = [each for each in altered if each.objective.sources]
    others = {each.id: each.seed for each in altered if not each.objective.sources}
    assert [each.seed for each in taught] == [0, 1]
    assert sorted(others.values()) == [3, 9]
    assert all({*each.objective.sources} == {*others} for each in taught)
