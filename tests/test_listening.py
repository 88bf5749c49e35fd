"""What a trial hears: microphones, labels, splits; and what training makes of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scaling import machine
from scaling.settings import Trial, changed
from scaling.sound.microphones import RECORDED
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.methods import run


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    """Three microphones: one that only delays, one that dulls, one that thins."""
    folder = tmp_path / "responses"
    folder.mkdir()
    shapes = {
        "plain": np.eye(1, 64, 0)[0],
        "dull": 0.9 ** np.arange(64),
        "thin": np.eye(1, 64, 0)[0] - 0.95 * np.eye(1, 64, 1)[0],
    }
    for name, shape in shapes.items():
        soundfile.write(folder / f"{name}.wav", 0.5 * shape, 16_000, subtype="FLOAT")
    return folder


@pytest.fixture
def through(trial: Trial, responses: Path) -> Trial:
    """Trained as recorded or through `plain`; tested through `dull` and `thin` too."""
    return changed(
        trial,
        {
            "split.train_devices": (),
            "microphones.responses": str(responses),
            "microphones.train": "plain",
            "microphones.share": 0.5,
            "microphones.test": "dull,thin",
            "training.epochs": 2,
        },
    )


def test_each_split_is_heard_through_its_microphones(
    through: Trial, store: Store, here: machine.Machine
):
    listener = Listener(through, store, here)
    heard = {each.split: each.through for each in listener.scored()}
    assert heard == {"seen": (RECORDED, 0), "unseen": (1, 2)}
    clips = listener.parts["test"][:3]
    assert torch.equal(listener.features(clips), listener.features(clips, RECORDED))
    assert not torch.allclose(listener.features(clips), listener.features(clips, 1), atol=1)
    assert list(listener.rows(clips, 2)["device"]) == ["thin"] * 3
    assert list(listener.rows(clips, RECORDED)["device"]) == list(store.table["device"][clips])


def test_unseen_microphones_are_recorded_by_name(
    through: Trial, store: Store, here: machine.Machine
):
    last = list(run(through, store, here))[-1]
    scored = {(r.split, r.device) for r in last.metrics if r.metric == "accuracy"}
    assert {("unseen", "all"), ("unseen", "dull"), ("unseen", "thin"), ("seen", "plain")} <= scored
    assert ("seen", "dull") not in scored
    held_out = len(Listener(through, store, here).parts["test"])
    unseen = [row for row in last.predictions if row.split == "unseen"]
    assert len(unseen) == 2 * held_out
    by_device = [row.value for row in last.metrics if row.metric == "accuracy"]
    assert all(0 <= value <= 1 for value in by_device)
    parts = [
        row.value
        for row in last.metrics
        if (row.split, row.metric) == ("unseen", "accuracy") and row.device != "all"
    ]
    (whole,) = [
        row.value
        for row in last.metrics
        if (row.split, row.metric, row.device) == ("unseen", "accuracy", "all")
    ]
    assert whole == pytest.approx(np.mean(parts))


def test_training_hears_no_test_microphone(
    through: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    """While training, every draw is of the microphones named for it."""
    drawn: list[int] = []
    listener_bank = Listener.__init__

    def spying(self: Listener, *args: object) -> None:
        listener_bank(self, *args)  # type: ignore[arg-type]
        forward = self.bank.forward

        def hear(waves_BT: torch.Tensor, which_B: torch.Tensor) -> torch.Tensor:
            drawn.extend(which_B.tolist())
            return forward(waves_BT, which_B)

        self.bank.forward = hear  # type: ignore[method-assign]

    monkeypatch.setattr(Listener, "__init__", spying)
    monkeypatch.setattr(Listener, "scored", lambda self: iter(()))
    list(run(through, store, here))
    assert set(drawn) == {RECORDED, 0}


def test_two_kinds_of_unseen_devices_are_one_too_many(through: Trial):
    with pytest.raises(ValueError, match="both make unseen devices: use one"):
        changed(through, {"split.train_devices": "a"})


def test_random_labels_are_taught_and_scored(trial: Trial, store: Store, here: machine.Machine):
    settings = {"split.labels": "uniform", "evaluation.training_clips": True}
    epochs = list(run(changed(trial, settings), store, here))
    taught = {r.clip: r.label for r in epochs[-1].predictions if r.split == "train_clean"}
    true = dict(zip(store.table["clip"], store.table["label"], strict=True))
    agreeing = np.mean([taught[clip] == true[clip] for clip in taught])
    assert agreeing < 0.3
    assert agreeing == pytest.approx(0.1, abs=0.1), "ten classes drawn uniformly"
    held = {r.clip: r.label for r in epochs[-1].predictions if r.split == "seen"}
    assert all(held[clip] == true[clip] for clip in held)
    clean = [r for r in epochs[-1].metrics if r.split == "train_clean"]
    right = [r.label == r.predicted for r in epochs[-1].predictions if r.clip in taught]
    (accuracy,) = [r.value for r in clean if (r.metric, r.device) == ("accuracy", "all")]
    assert accuracy == pytest.approx(np.mean(right))


def test_the_last_epochs_are_all_scored(trial: Trial, store: Store, here: machine.Machine):
    late = changed(trial, {"training.epochs": 6, "evaluation.every": 10, "evaluation.last": 2})
    scored = [
        epoch.number
        for epoch in run(late, store, here)
        if any(row.metric == "accuracy" for row in epoch.metrics)
    ]
    assert scored == [5, 6]
