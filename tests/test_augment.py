import numpy as np
import pytest
import torch
from torch.nn import functional

from scaling.seeds import stream
from scaling.sound.augment import Mix, draw_microphone, draw_mixup, draw_roll, mixup, roll


def test_roll_equals_rolling_each_wave():
    waves_BT = torch.randn(5, 1000)
    shifts_B = torch.tensor([0, 1, -1, 999, -400])
    plain = torch.stack([torch.roll(w, int(s)) for w, s in zip(waves_BT, shifts_B, strict=True)])
    assert torch.equal(roll(waves_BT, shifts_B), plain)


def test_rolls_are_uniform_and_bounded():
    shifts = draw_roll(stream(0, "roll"), 20_000, 50)
    assert shifts.min() == -50
    assert shifts.max() == 50
    counts = np.bincount(shifts.numpy() + 50)
    assert counts.min() > 120  # of 198 expected each


def test_mixup_weights_are_folded_beta():
    """Beta(0.3, 0.3) folded to at least a half has mean 0.866 and exceeds 0.95 with probability
    0.455.
    """
    mix = draw_mixup(stream(0, "mixup"), 200_000, 0.3)
    assert mix.weights_B.min() >= 0.5
    assert mix.weights_B.max() <= 1
    assert mix.weights_B.mean().item() == pytest.approx(0.866, abs=0.002)
    assert (mix.weights_B > 0.95).double().mean().item() == pytest.approx(0.455, abs=0.005)
    assert sorted(mix.partners_B.tolist()) == list(range(200_000))


def test_mixed_targets_give_the_published_loss():
    """mean of weight * CE(o, y) + (1 - weight) * CE(o, y of the partner), as in Zhang et al.
    2018.
    """
    mix = draw_mixup(stream(0, "mixup"), 16, 0.3)
    logits_BY, labels_B = torch.randn(16, 10), torch.randint(10, (16,))
    targets_BY = mixup(functional.one_hot(labels_B, 10).float(), mix)
    first = functional.cross_entropy(logits_BY, labels_B, reduction="none")
    second = functional.cross_entropy(logits_BY, labels_B[mix.partners_B], reduction="none")
    expected = (mix.weights_B * first + (1 - mix.weights_B) * second).mean()
    assert torch.allclose(functional.cross_entropy(logits_BY, targets_BY), expected)


def test_weight_one_changes_nothing():
    x = torch.randn(4, 8, 9)
    same = Mix(torch.ones(4), torch.tensor([1, 2, 3, 0]))
    assert torch.equal(mixup(x, same), x)


def test_tiny_alpha_is_hardly_any_mixup():
    mix = draw_mixup(stream(0, "mixup"), 1000, 1e-4)
    assert mix.weights_B.mean() > 0.999


def test_microphones_are_drawn_for_a_share_of_clips_all_alike():
    which = draw_microphone(stream(0, "microphone"), 60_000, 0.75, 6)
    assert which.dtype == torch.int64
    counts = np.bincount(which.numpy() + 1, minlength=7)
    assert len(counts) == 7
    assert counts[0] == pytest.approx(15_000, abs=500)
    assert counts[1:].tolist() == pytest.approx([7_500] * 6, abs=400)


def test_a_share_of_nothing_or_all_is_exact():
    assert (draw_microphone(stream(0, "microphone"), 1000, 0.0, 6) == -1).all()
    assert (draw_microphone(stream(0, "microphone"), 1000, 1.0, 6) >= 0).all()
