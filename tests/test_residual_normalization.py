"""Residual normalization against its formula in numpy, and what it is for."""

import numpy as np
import pytest
import torch

from scaling.networks import NETWORKS
from scaling.networks.modules.residual_normalization import (
    AdaptiveResidualNormalization,
    ResidualNormalization,
    freq_in,
)
from scaling.settings import Trial, changed, sizes
from scaling.training import classifier


def maps() -> torch.Tensor:
    return 5 + 3 * torch.randn(3, 4, 6, 11, generator=torch.Generator().manual_seed(0))


def by_hand(x_BCFN: np.ndarray) -> np.ndarray:
    """FreqIN clip by clip and row by row, in float64."""
    out = np.empty_like(x_BCFN)
    for clip in range(x_BCFN.shape[0]):
        for row in range(x_BCFN.shape[2]):
            values = x_BCFN[clip, :, row]
            mean = values.sum() / values.size
            variance = ((values - mean) ** 2).sum() / values.size
            out[clip, :, row] = (values - mean) / np.sqrt(variance + 1e-5)
    return out


def test_residual_normalization_is_its_formula():
    x_BCFN = maps()
    exact = x_BCFN.double().numpy()
    found = ResidualNormalization()(x_BCFN).numpy()
    assert np.abs(found - (0.1 * exact + by_hand(exact))).max() < 1e-6
    assert list(ResidualNormalization().parameters()) == []


def test_adaptive_residual_normalization_is_its_formula():
    """With the gradients of all that learns, in float64."""
    module, x_BCFN = AdaptiveResidualNormalization(4).double(), maps().double()
    exact = x_BCFN.double().numpy()
    begun = module(x_BCFN).detach().numpy()
    assert np.abs(begun - (0.5 * exact + 0.5 * by_hand(exact))).max() < 1e-6
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).double()
    for each, value in zip((module.rho, module.gamma, module.beta), values, strict=True):
        each.data = value[:, None, None]
    rho, gamma, beta = values.numpy()[:, None, :, None, None]
    wanted = gamma * (rho * exact + (1 - rho) * by_hand(exact)) + beta
    assert np.abs(module(x_BCFN).detach().numpy() - wanted).max() < 1e-12
    weights = torch.randn(3, 4, 6, 11, generator=torch.Generator().manual_seed(2)).double()
    (module(x_BCFN) * weights).sum().backward()
    mixed = rho * exact + (1 - rho) * by_hand(exact)
    for each, slope in (
        (module.rho, gamma * (exact - by_hand(exact))),
        (module.gamma, mixed),
        (module.beta, np.ones_like(exact)),
    ):
        expected = (weights.numpy() * slope).sum(axis=(0, 2, 3))
        assert each.grad is not None
        np.testing.assert_allclose(each.grad.flatten().numpy(), expected, rtol=0, atol=1e-9)


def test_freq_in_does_not_hear_the_microphone():
    """A gain in decibels and a scale for each band, which a device adds, are gone."""
    x_BCFN = maps()
    gains = torch.linspace(-20, 20, 6)[:, None]
    scales = torch.linspace(0.5, 2, 6)[:, None]
    torch.testing.assert_close(
        freq_in(x_BCFN * scales + gains), freq_in(x_BCFN), rtol=1e-4, atol=2e-5
    )
    constant = torch.full((1, 1, 2, 5), 7.0)
    assert torch.equal(freq_in(constant), torch.zeros_like(constant))


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "mfcc"])
def test_every_network_can_have_it(trial: Trial, kind: str):
    """At its input, counted, by names of its own, and around what an objective adds."""
    heard = changed(
        Trial.model_validate({**trial.stated(), "augment": {}}),
        {
            "sound.features.mels": 160 if kind == "bc_resnet" else 128,
            "sound.features.window": 1024,
            "sound.seconds": 5,
        },
    )
    network = {"kind": kind, "width": 64 if kind == "passt" else 8}
    base = Trial.model_validate({**heard.stated(), "network": network})
    if base.network.kind != "timbre":
        base = changed(base, {"objective.kind": "bottleneck", "objective.latent": 3})
    x_BCFN = torch.randn(2, 1, *base.sound.shape, generator=torch.Generator().manual_seed(0))
    plain = built(base)
    for normalization, module in (
        ("residual", ResidualNormalization()),
        ("adaptive", AdaptiveResidualNormalization(1)),
    ):
        normalized = changed(base, {"network.normalization": normalization})
        model = built(normalized)
        wanted = plain(module(x_BCFN)).logits_BY
        torch.testing.assert_close(model(x_BCFN).logits_BY, wanted, rtol=1e-5, atol=1e-5)
        own = model.state_dict().keys() - plain.state_dict().keys()
        assert own == {f"normalization.{name}" for name in module.state_dict()}
        counted = sizes.cost(normalized, 4).parameters
        assert counted == sum(each.numel() for each in model.parameters())


def built(trial: Trial) -> torch.nn.Module:
    """A trial's network in evaluation, whose statistics are not those it begins with."""
    return classifier.network(trial, 4, torch.Generator().manual_seed(1)).eval()


def test_it_works_in_half_precision():
    """Statistics are those of float32, whatever the map is."""
    half = maps().bfloat16()
    assert torch.equal(freq_in(half), freq_in(half.float()))
