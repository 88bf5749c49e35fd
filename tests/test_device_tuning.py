"""Tuning a general model for one device: what is taken over, heard, scored, and refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scaling import machine
from scaling.results import transfer, weights
from scaling.results.manifest import plan, record
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.settings.recipes import tuned
from scaling.sound import prepare
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.session import Session
from scaling.training.stages import Draws
from sweeps.lineage import stages
from sweeps.study import find, trials_of


@pytest.fixture
def general(trial: Trial) -> Trial:
    """Of two devices; a third is unseen."""
    heard = {"split.train_devices": ("a", "b"), "training.epochs": 1, "training.warmup": 0}
    return changed(trial, {**heard, "training.batch": 8, "network.initialization": "he"})


def planned(folder: Path, store: Store, *trials: Trial) -> Results:
    results = Results(folder)
    results.prepare()
    digests = prepare.digests(trials, {prepare.store_key(trials[0]): store})
    record(plan("s", [*trials], {"synthetic": store.table}), digests, results)
    return results


def test_a_general_model_is_tuned_whole_for_one_device(
    general: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """Nothing of it is new; it trains on, and as seen is scored on, that device's clips alone."""
    own = changed(tuned(general, "b"), {"training.epochs": 1})
    results = planned(tmp_path, store, general, own)
    assert [[each.id for each in stage] for stage in stages([own, general])] == [
        [general.id],
        [own.id],
    ]
    *_, told = run_trial(general, store, here, results)
    assert told.status == "complete", told.error
    taken = transfer.source(own, results)
    session = Session(own, Listener(own, store, here), here, None, taken)
    learned = weights.load(general.id, results)
    state = session.model.state_dict()
    assert state.keys() == learned.keys()
    assert all(torch.equal(state[name], value) for name, value in learned.items())
    table, parts = session.listener.table, session.listener.parts
    whole = Listener(general, store, here).parts
    for name in ("train", "seen"):
        assert table["device"].iloc[parts[name]].unique().tolist() == ["b"]
        assert set(parts[name]) < set(whole[name])
    assert np.array_equal(parts["unseen"], whole["unseen"])
    *_, told = run_trial(own, store, here, results)
    assert told.status == "complete", told.error
    rows = results.read("metrics", [own.id]).to_pylist()
    scored = {(row["split"], row["device"]) for row in rows if row["metric"] == "accuracy"}
    assert {device for split, device in scored if split == "seen"} <= {"all", "b"}
    assert {device for split, device in scored if split == "unseen"} > {"all"}


def test_a_microphone_is_a_device_too(
    general: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    for number, name in enumerate("mnu"):
        impulse = np.zeros(64, dtype=np.float32)
        impulse[[0, 5 + number]] = 0.5
        soundfile.write(tmp_path / f"{name}.wav", impulse, 16_000)
    heard = {"microphones.responses": str(tmp_path), "split.train_devices": ()}
    heard |= {"microphones.train": ("m", "n"), "microphones.share": 0.5, "microphones.test": "u"}
    through = changed(general, heard)
    for device, number in (("n", 1), ("recorded", -1), ("", None)):
        own = changed(tuned(through, device), {"split.validation_fold": 2})
        session = Session(own, Listener(own, store, here), here, None, None)
        copy = session.views.copy(session.train[:24], Draws(3, 0, 0), 0.0)
        drawn = {-1, 0, 1} if number is None else {number}
        assert set(copy.microphones_B.tolist()) == drawn
        scored = {each.split: each.through for each in session.listener.scored()}
        seen = (-1, 0, 1) if number is None else (number,)
        assert scored == {"validation": seen[:1], "seen": seen, "unseen": (2,)}


def test_a_source_that_leaks_is_refused_by_name(general: Trial, store: Store, tmp_path: Path):
    fold = changed(general, {"split.fold": 2})
    low = changed(general, {"sound.features.hop": 256})
    wide = changed(general, {"split.train_devices": ("a", "b", "c")})
    of_all = changed(general, {"split.train_devices": ()})
    heir = changed(general, {"transfer.trial": fold.id})
    classes = {"sound.classes": "field,street"}
    apart = changed(fold, {"sound.classes": "garden,harbour"})
    fresh = {"transfer.last_layer": "new", "transfer.device": ""}
    on = lambda source: changed(tuned(general, "b"), {"transfer.trial": source.id})  # noqa: E731
    tested = (
        r"may know clips that this trial is tested on: split\.fold=2 there, 1 here; name one of"
    )
    cases = [
        (on(fold), f"{fold.id} {tested}"),
        (changed(on(fold), fresh), f"{fold.id} {tested}"),
        (on(heir), f"{heir.id}, through {fold.id} that it learnt from, {tested}"),
        (on(low), rf"{low.id} hears otherwise: sound\.features\.hop=256 there, 512 here; with tr"),
        (on(wide), f"{wide.id} was trained through c, which this trial is tested on as unseen: na"),
        (on(of_all), f"{of_all.id} was trained through all devices, which"),
    ]
    every = [fold, low, wide, of_all, heir, apart]
    for taking, line in cases:
        with pytest.raises(ValueError, match=f"^transfer.trial={line}") as refused:
            transfer.check([taking, *every], Results(tmp_path))
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=f"{fold.id}: .* has no weights of it: sweep it first"):
        transfer.check([on(fold)], Results(tmp_path))
    fine = [tuned(general, "b"), changed(on(apart), {**classes, **fresh})]
    fewer = changed(general, {"split.clips_per_class": 2})
    transfer.check([*fine, on(fewer), fewer, general, apart], Results(tmp_path))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"transfer.device": "c"}, "transfer.device=c is not among the training devices"),
        ({"transfer.trial": ""}, "transfer.last_layer=kept changes nothing: no trained classifier"),
        ({"training.adversarial": 1.0}, "training.adversarial=1: all training clips are of"),
    ],
)
def test_mistakes_are_one_line(general: Trial, store: Store, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=re.escape(line)) as refused:
        plan("s", [changed(tuned(general, "b"), changes)], {"synthetic": store.table})
    assert "\n" not in str(refused.value)


def test_a_device_that_no_clip_names(general: Trial, store: Store):
    named = changed(tuned(general, "b"), {"transfer.device": "", "split.train_devices": ()})
    with pytest.raises(ValueError, match=r"^transfer\.device=bb: no such device .did you mean b"):
        plan("s", [changed(named, {"transfer.device": "bb"})], {"synthetic": store.table})


def test_the_study_answers_each_seen_device_by_its_own_model():
    """A general model a fold, tuned for all and for each device that it is scored on as seen."""
    study = find("device_tuning_esc10")
    trials = trials_of(study, {})
    first, *rest = [each for each in trials if each.split.fold == 1]
    assert {each.transfer.trial for each in rest} == {first.id}
    heard = ["", "recorded", *first.microphones.train]
    assert [each.transfer.device for each in rest] == heard
    assert {each.training.rate for each in rest} == {5e-4}
    assert {(each.training.epochs, each.augment.freq_mixstyle) for each in rest} == {(50, 0.0)}
