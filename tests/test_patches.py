"""Patches: a random one of each training clip in every epoch, all of a clip that is scored."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import timeless

from scaling import machine
from scaling.seeds import stream
from scaling.settings import Trial, changed
from scaling.sound import augment
from scaling.sound.store import Store
from scaling.training import views
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.stages import Draws

FRAMES, PATCH = 63, 32  # of one second, and of half of it


@pytest.fixture
def few(trial: Trial) -> Trial:
    """Three classes, four clips of each, patches of half a second."""
    settings = {
        "sound.classes": "field,kitchen,street",
        "split.clips_per_class": 4,
        "training.batch": 5,
        "training.partial": True,
        "sound.features.hop": 256,
        "sound.patch": PATCH,
        "evaluation.patch_hop": 8,
    }
    return changed(trial, settings)


# Random ones, to train on


def test_starts_are_anywhere_they_fit():
    """Each of 0 to last as often as any other: a chi-squared test of 7,000 draws."""
    from scipy.stats import chisquare

    starts = augment.draw_patch(stream(0, "patch", 0, 0), 7000, 6)
    counts = np.bincount(starts.numpy())
    assert len(counts) == 7
    assert chisquare(counts).pvalue > 0.01
    assert augment.draw_patch(stream(0, "patch", 0, 0), 9, 0).tolist() == [0] * 9


def test_a_patch_is_a_slice():
    features_BFN = torch.randn(5, 3, 20)
    starts = torch.tensor([0, 12, 3, 3, 7])
    found = augment.patch(features_BFN, starts, 8)
    for features_FN, start, patch_FN in zip(features_BFN, starts.tolist(), found, strict=True):
        assert torch.equal(patch_FN, features_FN[:, start : start + 8])


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The starts of every batch's patches, while they are drawn."""
    drawn: list[list[int]] = []
    real = augment.patch

    def spying(features_BFN: torch.Tensor, starts_B: torch.Tensor, size: int) -> torch.Tensor:
        drawn.append(starts_B.tolist())
        return real(features_BFN, starts_B, size)

    monkeypatch.setattr(augment, "patch", spying)
    return drawn


def test_patches_come_from_seed_and_epoch_alone(
    few: Trial, store: Store, here: machine.Machine, starts: list[list[int]]
):
    """Whatever else is drawn, learned or scored; another epoch or seed has others."""

    def drawn(**settings: object) -> list[list[int]]:
        starts.clear()
        named = {name.replace("__", "."): value for name, value in settings.items()}
        list(run(changed(few, named), store, here))
        return list(starts)

    first = drawn()
    assert [len(batch) for batch in first] == 3 * [5, 5, 2]
    epochs = [np.concatenate(first[at : at + 3]).tolist() for at in (0, 3, 6)]
    assert all(one != other for one, other in pairwise(epochs))
    assert set(np.concatenate(epochs)) <= set(range(FRAMES - PATCH + 1))
    other = {"augment__roll": 0.0, "augment__mixup": 0.0, "training__rate": 1e-4}
    assert drawn(**other, evaluation__every=3, network__width=1) == first
    assert drawn(seed=4) != first


def test_resumed_patches_are_the_same(
    few: Trial, store: Store, here: machine.Machine, starts: list[list[int]]
):
    whole = list(run(few, store, here))
    first = starts.copy()
    state = next(run(few, store, here)).state
    starts.clear()
    rest = run(few, store, here, state)
    assert timeless(rest) == timeless(iter(whole[1:]))
    assert starts == first[3:]


def test_views_draw_patches_of_their_own():
    """As all else that is drawn for a view; disagreement alone looks at the same patch."""
    drawn = {
        name: augment.draw_patch(draws["patch"], 50, 16).tolist()
        for name, draws in {
            "again": Draws(1, 2, 0),
            "first": Draws(1, 2, 0),
            "second": Draws(1, 2, 1),
            "later": Draws(1, 3, 0),
        }.items()
    }
    assert drawn["again"] == drawn["first"]
    assert len({tuple(each) for each in drawn.values()}) == 3


def test_disagreement_is_about_the_same_patches(
    few: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    """Where nothing is masked, the three copies are one, and answered alike to the bit."""
    masked = changed(
        few, {"evaluation.disagreement": "mask", "training.epochs": 1, "training.warmup": 0}
    )
    whole = next(run(masked, store, here)).metrics
    (value,) = (r.value for r in whole if (r.metric, r.split) == ("disagreement", "seen"))
    assert value > 0
    real = views.transforms.draw
    monkeypatch.setattr(
        views.transforms,
        "draw",
        lambda draws, batch, named, share, variants: real(draws, batch, named, 0.0, variants),
    )
    none = next(run(masked, store, here)).metrics
    assert [r.value for r in none if r.metric == "disagreement"] == [0.0, 0.0]


# All of them, to be scored by


@pytest.mark.parametrize(
    ("hop", "begin"), [(1, range(32)), (10, (0, 10, 20, 30)), (31, (0, 31)), (32, (0,)), (0, (0,))]
)
def test_patches_of_scored_clips_are_slices(
    few: Trial, store: Store, here: machine.Machine, hop: int, begin: range
):
    listener = Listener(changed(few, {"evaluation.patch_hop": hop}), store, here)
    features_BFN = listener.features(listener.parts["seen"])
    assert features_BFN.shape[2] == FRAMES
    found = listener.patches(features_BFN)
    assert found.shape == (9, len(begin), 32, PATCH)
    for number, start in enumerate(begin):
        assert torch.equal(found[:, number], features_BFN[:, :, start : start + PATCH])


@pytest.mark.parametrize("votes", ["probabilities", "logarithms", "votes"])
def test_predictions_are_of_all_patches(
    few: Trial, store: Store, here: machine.Machine, votes: str
):
    """A plain twin: the network that was trained, patch by patch, and numpy."""
    settings = {"training.epochs": 2, "evaluation.patch_votes": votes, "evaluation.patch_hop": 10}
    voting = changed(few, settings)
    from scaling.training.classifier import of_trial

    *_, last = run(voting, store, here)
    listener = Listener(voting, store, here)
    statistics = torch.zeros(32), torch.ones(32)
    model, _ = of_trial(voting, listener, here, statistics, None)
    model.load_state_dict(last.state["model"])
    model.eval()
    rows = [row for row in last.predictions if row.split == "seen"]
    for clip, row in zip(listener.parts["seen"], rows, strict=True):
        features_BFN = listener.features(np.array([clip]))
        with torch.inference_mode():
            said = [
                model(features_BFN[:, :, at : at + PATCH]).logits_BY[0].softmax(dim=0).numpy()
                for at in (0, 10, 20, 30)
            ]
        if votes == "votes":
            said = [np.eye(3)[each.argmax()] for each in said]
        shares = np.mean(np.log(said) if votes == "logarithms" else said, axis=0)
        expected = shares if votes == "logarithms" else np.log(np.maximum(shares, 0.5 / 4))
        if votes == "probabilities":
            expected = np.log(shares)
        np.testing.assert_allclose(row.logits, expected, rtol=1e-3, atol=1e-4)


def test_a_patch_of_all_frames_is_the_clip(few: Trial, store: Store, here: machine.Machine):
    """The same records, but for the id, as without patches."""
    whole = changed(few, {"sound.patch": FRAMES, "evaluation.patch_hop": FRAMES})
    without = changed(few, {"sound.patch": 0, "evaluation.patch_hop": 0})
    assert whole.id != without.id
    assert timeless(run(whole, store, here)) == timeless(run(without, store, here))


# What does not fit


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"sound.patch": 64},
            r"^sound: patch=64 frames: a clip of seconds=1 has 63: longer clips \(fill=tile "
            "repeats short ones\\) or a shorter patch$",
        ),
        ({"evaluation.patch_hop": 33}, "^evaluation.patch_hop=33 leaves frames out between patc"),
        (
            {"sound.patch": 0},
            "^evaluation.patch_hop and patch_votes need sound.patch to be above 0$",
        ),
        (
            {"sound.patch": 0, "evaluation.patch_hop": 0, "evaluation.patch_votes": "votes"},
            "^evaluation.patch_hop and patch_votes need sound.patch to be above 0$",
        ),
    ],
)
def test_patches_that_do_not_fit(few: Trial, settings: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as error:
        changed(few, settings)
    assert "\n" not in str(error.value)
