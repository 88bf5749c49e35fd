"""Freq-MixStyle, moved bands, band masks and pre-emphasis: each against its definition."""

import numpy as np
import pytest
import torch

from scaling import machine
from scaling.seeds import stream
from scaling.settings import Trial, changed
from scaling.shipping.waveform import exportable
from scaling.sound import frontends
from scaling.sound.augment import freq_mixstyle, jitter
from scaling.sound.augment.freq_mixstyle import StyleMix, mixed
from scaling.sound.frontends import Standardize
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.stages import Draws, as_recorded
from scaling.training.views import Views


def features() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return -40 + 15 * torch.randn(5, 7, 13, generator=generator)


MIX = StyleMix(torch.tensor([0.0, 0.25, 0.5, 0.9, 1.0]), torch.tensor([3, 0, 4, 1, 2]))


def test_styles_are_mixed_as_the_formula_says():
    """Clip by clip and band by band in numpy; the gradient takes statistics as given."""
    x_BFN = features().double().requires_grad_()
    found_BFN = mixed(x_BFN, StyleMix(MIX.weights_B.double(), MIX.partners_B))
    found_BFN.sum().backward()
    x, slopes = x_BFN.detach().numpy(), x_BFN.grad.numpy()  # type: ignore[union-attr]
    for clip, (share, other) in enumerate(zip(MIX.weights_B, MIX.partners_B, strict=True)):
        share = float(share)
        for band in range(7):
            own, foreign = x[clip, band], x[int(other), band]
            sigma, sigma_2 = (np.sqrt(np.var(each) + 1e-6) for each in (own, foreign))
            scale = share * sigma + (1 - share) * sigma_2
            mean = share * own.mean() + (1 - share) * foreign.mean()
            wanted = (own - own.mean()) / sigma * scale + mean
            np.testing.assert_allclose(found_BFN[clip, band].detach(), wanted, rtol=0, atol=1e-6)
            np.testing.assert_allclose(slopes[clip, band], scale / sigma, rtol=0, atol=1e-6)


def test_standardized_before_or_after_is_the_same():
    x_BFN = features()
    standardize = Standardize(torch.linspace(-50, -20, 7), torch.linspace(5, 20, 7))
    torch.testing.assert_close(
        mixed(standardize(x_BFN), MIX), standardize(mixed(x_BFN, MIX)), rtol=0, atol=1e-4
    )


def test_a_clip_takes_over_the_other_style_or_stays():
    out = mixed(features(), MIX)
    torch.testing.assert_close(out[4], features()[4], rtol=0, atol=1e-4)
    torch.testing.assert_close(out[0].mean(1), features()[3].mean(1), rtol=0, atol=1e-4)
    torch.testing.assert_close(out[0].std(1), features()[3].std(1), rtol=0, atol=1e-4)


def test_draws_come_with_their_probability_and_keep_their_place():
    """So that a batch draws the same whatever the probability; weights are Beta's."""
    draws = stream(1, "freq_mixstyle", 0, 0)
    drawn = [freq_mixstyle.draw(draws, 64, 0.4, 0.3, False) for _ in range(500)]
    taken = [each for each in drawn if each is not None]
    assert 160 < len(taken) < 240
    weights = torch.cat([each.weights_B for each in taken])
    assert float(weights.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(weights.var()) == pytest.approx(1 / (4 * (2 * 0.3 + 1)), abs=0.01)
    always = stream(1, "freq_mixstyle", 0, 0)
    every = [freq_mixstyle.draw(always, 64, 1.0, 0.3, False) for _ in range(500)]
    for one, other in zip(drawn, every, strict=True):
        assert other is not None
        assert one is None or torch.equal(one.partners_B, other.partners_B)
    one = freq_mixstyle.draw(stream(1, "x"), 9, 1.0, 0.4, True)
    assert one is not None
    assert len(set(one.weights_B.tolist())) == 1


@pytest.mark.parametrize("kind", ["log_mel", "perceptual", "vggish"])
def test_moved_bands_are_those_of_a_front_end_built_for_them(trial: Trial, kind: str):
    own = trial.sound.features.model_copy(update={"kind": kind, "range_db": 0.0, "mels": 24})
    waves_BT = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(3))
    front = frontends.build(own, 16_000)
    before = front(waves_BT)
    drawn = [jitter.draw(stream(n, "range", 0, 0), own, 16_000, 20.0, 1000.0) for n in range(200)]
    assert all(0 <= each.low < 20 for each in drawn)
    assert all(7000 < each.high <= 8000 for each in drawn)
    assert min(each.high for each in drawn) < 7050
    moved = jitter.moved(front, drawn[0])(waves_BT)
    assert torch.equal(moved, frontends.build(drawn[0], 16_000)(waves_BT))
    assert not torch.equal(moved, before)
    assert torch.equal(front(waves_BT), before), "the front end itself stays as it is"


def test_training_hears_moved_bands_and_tests_do_not(
    trial: Trial, store: Store, here: machine.Machine
):
    still = changed(trial, {"augment.roll": 0, "augment.high_jitter": 500})
    assert not as_recorded(still)
    listener = Listener(still, store, here)
    clips = listener.parts["train"][:8]
    plain = listener.features(clips)
    made = Views(listener, lambda x: x)
    draws = Draws(1, 0, 0)
    first, second = (made.augmented(clips, draws, 0.0) for _ in range(2))
    assert not torch.equal(first, plain)
    assert not torch.equal(first, second), "each batch has its own range"
    assert torch.equal(made.augmented(clips, Draws(1, 0, 0), 0.0), first)
    assert torch.equal(made.transformed(clips, Draws(1, 0, 0), 0.0), plain)


def test_one_mask_of_bands_for_each_clip(trial: Trial, store: Store, here: machine.Machine):
    masked = changed(trial, {"augment.roll": 0, "augment.band_mask": 9})
    assert as_recorded(masked), "features are computed once"
    listener = Listener(masked, store, here)
    clips = listener.parts["train"][:60]
    plain = listener.features(clips) + 1000.0
    view = Views(listener, lambda x: x + 1000.0).augmented(clips, Draws(1, 0, 0), 0.0)
    hidden_BF = (view == 0).all(dim=2)
    assert torch.equal(hidden_BF, (view != plain).any(dim=2)), "whole bands, nothing else"
    widths = hidden_BF.sum(dim=1)
    assert set(range(10)) >= set(widths.tolist()) >= {0, 9}
    edges = (hidden_BF[:, 1:] != hidden_BF[:, :-1]).sum(dim=1) + hidden_BF[:, 0] + hidden_BF[:, -1]
    assert (edges <= 2).all(), "one mask"


@pytest.mark.parametrize(
    ("kind", "more"), [("log_mel", {}), ("cqt", {"window": 0, "low": 110.0, "mels": 24})]
)
def test_preemphasis_is_a_difference_and_is_exported(trial: Trial, kind: str, more: dict):
    own = trial.sound.features.model_copy(update={"kind": kind, **more})
    if kind == "cqt":
        pytest.importorskip("nnAudio")
    emphasized = own.model_copy(update={"preemphasis": 0.97})
    waves_BT = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(3))
    by_hand = waves_BT.clone()
    for at in range(1, 16_000):
        by_hand[:, at] = waves_BT[:, at] - 0.97 * waves_BT[:, at - 1]
    front = frontends.build(emphasized, 16_000)
    wanted = frontends.build(own, 16_000)(by_hand)
    torch.testing.assert_close(front(waves_BT), wanted, rtol=0, atol=1e-4)
    torch.testing.assert_close(exportable(front, 16_000)(waves_BT), wanted, rtol=0, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"augment.freq_mixstyle_alpha": 0.4}, "changes nothing: freq_mixstyle=0 mixes none"),
        ({"augment.freq_mixstyle": 1.5}, "must be at most 1"),
        (
            {"augment.band_mask": 1000},
            "augment.band_mask=1000 must be at most sound.features.mels=",
        ),
        ({"augment.high_jitter": 9000}, "bands would lie between 0 and -1000 Hz: use smaller"),
        (
            {"augment.low_jitter": 1, "sound.features.trainable": "mel"},
            "sound.features.trainable=mel has no bands to move",
        ),
    ],
)
def test_what_does_not_fit(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        changed(trial, changes)
