import numpy as np
import pytest
import torch
from torch.nn import functional

from scaling.seeds import stream
from scaling.sound.augment import Mix, draw_microphone, draw_mixup, draw_roll, mixup, roll
from scaling.sound.transforms import TRANSFORMS, draw
from scaling.sound.transforms.mask import Masks, draw_masks, mask
from scaling.sound.transforms.pitch import SEMITONES
from scaling.sound.transforms.reverb import ROOMS
from scaling.sound.transforms.transform import UNCHANGED

DRAWN = {  # by what is named, the draws of two batches of 6 clips
    "combination": [
        {"pitch": [-1, -1, 5, -1, -1, -1], "reverb": [41, -1, -1, 44, 7, -1]},
        {"pitch": [-1, -1, -1, -1, 0, -1], "reverb": [27, -1, 28, 9, -1, 39]},
    ],
    "pitch": [{"pitch": [5, -1, 5, 9, 3, -1]}, {"pitch": [1, -1, 6, 8, 0, 6]}],
    "mask": [{"mask": [0, -1, 0, 0, 0, -1]}, {"mask": [0, -1, 0, 0, 0, 0]}],
}


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


def plainly_masked(x_BFN: torch.Tensor, masks: Masks, fill: float) -> torch.Tensor:
    """Value by value."""
    plain = x_BFN.clone()
    for clip, bands, frames in zip(plain, masks.bands_BM2, masks.frames_BM2, strict=True):
        for start, end in bands.tolist():
            for band in range(start, end):
                clip[band, :] = fill
        for start, end in frames.tolist():
            for frame in range(start, end):
                clip[:, frame] = fill
    return plain


@pytest.mark.parametrize("fill", [0.0, -3.5])
def test_masking_equals_the_plain_loop(fill: float):
    x_BFN = torch.randn(6, 20, 50)
    before = x_BFN.clone()
    masks = draw_masks(stream(1, "masks"), 6, 20, 50)
    masked = mask(x_BFN, masks, fill)
    assert torch.equal(masked, plainly_masked(x_BFN, masks, fill))
    assert not torch.equal(masked, x_BFN)
    assert torch.equal(x_BFN, before)


def test_only_some_clips_are_masked():
    x_BFN, where_B = torch.randn(4, 20, 50), torch.tensor([True, False, True, False])
    masks = draw_masks(stream(1, "masks"), 4, 20, 50)
    part, whole = mask(x_BFN, masks, where_B=where_B), mask(x_BFN, masks)
    assert torch.equal(part[where_B], whole[where_B])
    assert torch.equal(part[~where_B], x_BFN[~where_B])


def test_masks_are_as_many_and_as_wide_as_published():
    """2 of bands and 8 of frames, each of 0 to 7, all widths and all places alike."""
    masks = draw_masks(stream(0, "masks"), 5_000, 40, 100)
    for spans, count, size in ((masks.bands_BM2, 2, 40), (masks.frames_BM2, 8, 100)):
        assert spans.shape == (5_000, count, 2)
        assert spans.min() == 0
        assert spans.max() == size
        starts, widths = spans[..., 0].flatten(), (spans[..., 1] - spans[..., 0]).flatten()
        shares = np.bincount(widths) / len(widths)
        assert shares.tolist() == pytest.approx([1 / 8] * 8, abs=0.015)
        widest = np.bincount(starts[widths == 7], minlength=size - 6) / (widths == 7).sum().item()
        assert len(widest) == size - 6
        assert widest.max() < 2 / (size - 6)


def test_masks_fit_into_few_bands():
    masks = draw_masks(stream(0, "masks"), 500, 3, 5)
    assert masks.bands_BM2.max() == 3
    assert masks.frames_BM2.max() == 5
    assert (masks.bands_BM2[..., 0] <= masks.bands_BM2[..., 1]).all()


@pytest.mark.parametrize("named", ["none", *TRANSFORMS, "combination"])
def test_transforms_come_as_named_and_in_their_share(named: str):
    drawn = draw(stream(0, "transform"), 60_000, named, 0.6)
    halves = {"pitch": 0.3, "reverb": 0.3}
    wanted = {"none": {}, "combination": halves}.get(named, {named: 0.6})
    assert drawn.keys() == wanted.keys()
    for name, share in wanted.items():
        assert drawn[name].dtype == torch.int64
        assert (drawn[name] != UNCHANGED).double().mean().item() == pytest.approx(share, abs=0.01)


def test_shifts_and_rooms_are_drawn_all_alike():
    drawn = draw(stream(0, "transform"), 100_000, "combination", 1.0)
    shifts_B, rooms_B = drawn["pitch"], drawn["reverb"]
    assert (shifts_B != UNCHANGED).logical_xor(rooms_B != UNCHANGED).all()
    shifts = np.bincount(shifts_B[shifts_B != UNCHANGED])
    assert shifts.tolist() == pytest.approx([5_000] * len(SEMITONES), abs=300)
    heard = np.bincount(rooms_B[rooms_B != UNCHANGED], minlength=ROOMS)
    assert len(heard) == ROOMS
    assert heard.min() > 50  # of 100 expected each
    few = draw(stream(0, "transform"), 1_000, "reverb", 1.0, {"reverb": 4})
    assert sorted(set(few["reverb"].tolist())) == [0, 1, 2, 3]


def test_a_share_of_no_or_all_transforms_is_exact():
    none = draw(stream(0, "transform"), 1_000, "pitch", 0.0)
    assert (none["pitch"] == UNCHANGED).all()
    assert (draw(stream(0, "transform"), 1_000, "pitch", 1.0)["pitch"] >= 0).all()


def test_draws_are_those_of_every_version():
    """Frozen: another would give the same trial other records. So are those of a second batch."""
    for named, wanted in DRAWN.items():
        drawing = stream(3, "transform", 2, 1)
        for batch in wanted:
            drawn = draw(drawing, 6, named, 0.7, {"reverb": 50})
            assert {name: variants_B.tolist() for name, variants_B in drawn.items()} == batch


def test_shifts_are_half_semitones_without_none():
    assert [2 * s for s in SEMITONES] == [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_masks_on_the_gpu():
    x_BFN, masks = torch.randn(6, 20, 50), draw_masks(stream(1, "masks"), 6, 20, 50)
    where_B = torch.arange(6) % 2 == 0
    assert torch.equal(
        mask(x_BFN.cuda(), masks, 1.0, where_B).cpu(), mask(x_BFN, masks, 1.0, where_B)
    )
