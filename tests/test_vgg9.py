"""VGG9 against its published size, built networks, gradients, and pruning with its dense layer."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import counted
from torch import nn

from scaling.networks import Network
from scaling.networks.cost import Axis, Field, count, field, last_map
from scaling.networks.modules.chain import ChainModule
from scaling.networks.modules.kernels import Convolution, Prunable
from scaling.networks.vgg9 import VGG9
from scaling.pruning.pruner import Pruner
from scaling.receptive_field import gradients
from scaling.settings import Trial, changed, sizes

INPUT = (128, 368)  # 5 s at 44.1 kHz, hop 600


def settings(width: int = 64, **others: object) -> Network:
    return VGG9(width=width, **others)  # type: ignore[arg-type]


def build(network: Network, classes: int = 10, seed: int = 0) -> ChainModule:
    model = network.build(classes, torch.Generator().manual_seed(seed))
    assert isinstance(model, ChainModule)
    return model


def test_published_size():
    cost = count(settings().layers(50), INPUT)
    assert cost.parameters == 4_711_794
    assert cost.weights == 4_682_304 + 512 * 50
    assert cost.parts[-2].map == (8, 23)
    assert round(cost.macs / 1e9, 2) == 9.58
    model = build(settings(), 50)
    assert sum(p.numel() for p in model.parameters()) == 4_711_794
    output = model(torch.zeros(2, 1, 32, 48))
    assert output.features_BCFN.shape == (2, 512, 2, 3)
    assert output.logits_BY.shape == (2, 50)


def test_channels_follow_the_width():
    for width in (3, 64):
        outputs = [layer.outputs for layer in settings(width).layers(10)[:-1]]
        assert outputs == [width * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]


@pytest.mark.parametrize(("width", "size", "channels"), [(2, (40, 101), 1), (3, (17, 66), 2)])
def test_costs_are_those_of_the_built_network(width, size, channels):
    """Plain twin: torch's own counters on the module that is trained."""
    network, generator = settings(width), torch.Generator().manual_seed(0)
    model = network.build(5, generator, channels)
    cost = count(network.layers(5, channels), size)
    output = counted(model, cost, size, channels)
    assert output.features_BCFN.shape == (1, 8 * width, *cost.parts[-2].map)
    torch.testing.assert_close(output.logits_BY, model.dense(output.features_BCFN.mean(dim=(2, 3))))


def test_field():
    assert field(settings().layers(50)) == Field(Axis(76, 16, 7.5), Axis(76, 16, 7.5))


@pytest.mark.parametrize("size", [(128, 150), (96, 133)])
def test_field_is_where_gradients_are(monkeypatch, size):
    """Positive weights, no normalization, averages for maxima: the gradient's box is the
    arithmetic's.
    """
    network = settings(1)
    model = build(network).double()
    for module in model.modules():
        if isinstance(module, Convolution):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    for stage in model.stages:
        setattr(model, f"{stage.name}_norm", nn.Identity())
    average = nn.functional.avg_pool2d
    monkeypatch.setattr("scaling.networks.modules.chain.functional.max_pool2d", average)
    ones, layers = torch.ones(1, 1, *size, dtype=torch.float64), network.layers(10)
    rows, columns = last_map(layers, size)
    for pixel in ((rows // 2, columns // 2), (0, 1), (rows - 1, columns - 1)):
        target = lambda x, at=pixel: model(x).features_BCFN[:, :, *at]  # noqa: E731
        values_FN = gradients.effective_field(model, [ones], target).values_FN
        for axis, index, length, across in zip(field(layers), pixel, size, (1, 0), strict=True):
            lit = np.flatnonzero(values_FN.any(axis=across))
            assert (lit[0], lit[-1]) == axis.interval(index, length)


@pytest.mark.parametrize("damping", [0.0, 0.9])
def test_maps_of_real_networks(damping):
    """Maxima and all: zero outside the field; from the field alone comes the same map."""
    network, size = settings(3, damping=damping), (112, 140)
    model, seen = build(network), field(network.layers(10))
    clips = torch.randn(3, 1, *size, generator=torch.Generator().manual_seed(1))
    target = gradients.target_of(model, "feature")
    whole = gradients.effective_field(model, [clips], target)
    assert whole.pixel == (3, 4)
    place = gradients.place_of(seen, whole.pixel, size)
    assert gradients.numbers(whole.values_FN, place).inside == 1
    outside = np.ones(size, bool)
    outside[tuple(slice(first, last + 1) for first, last in place.box)] = False
    assert outside.any()
    assert (whole.values_FN[outside] == 0).all()
    cut = gradients.cropped(target, seen, whole.pixel, size)
    crop = gradients.effective_field(model, [clips], cut).values_FN
    np.testing.assert_allclose(crop, whole.values_FN, rtol=2e-3, atol=2e-6 * crop.max())


def test_equal_seeds_start_alike_damped_or_not():
    first, damped, other = (
        build(settings(2, damping=damping), seed=seed)
        for damping, seed in ((0.0, 0), (0.9, 0), (0.0, 1))
    )
    for (name, a), b, c in zip(
        first.named_parameters(), damped.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert torch.equal(a, c) == ("_norm." in name or name.endswith("bias")), name
    x = torch.randn(2, 1, 32, 40)
    assert not torch.equal(first(x).features_BCFN, damped(x).features_BCFN)


STATIC = {"pruning.kind": "static", "pruning.target_width": 2}
MAGNITUDE = {
    "pruning.kind": "magnitude",
    "pruning.target_width": 2,
    "pruning.length": 2,
    "pruning.guard": 1.0,
}


@pytest.mark.parametrize("damping", [0.0, 0.9])
@pytest.mark.parametrize("changes", [STATIC, MAGNITUDE], ids=["static", "magnitude"])
def test_pruning_cuts_convolutions_and_the_dense_layer(
    trial: Trial, changes: dict[str, Any], damping: float
):
    vgg9 = {"network.kind": "vgg9", "network.depth": 0, "network.pointwise": 0}
    size = {"network.width": 4, "network.damping": damping}
    pruned = changed(trial, {**vgg9, **size, **changes})
    target = sizes.kept_weights(pruned, 200)
    assert target == count(settings(2).layers(200), (32, 32)).weights
    network = build(pruned.network, 200)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    pruner = Pruner(pruned.pruning, pruned.seed, network, optimizer, target)
    parts = sizes.cost(pruned, 200).parts
    assert {name: layer.weight.numel() for name, layer in pruner.layers.items()} == {
        part.name: part.weights for part in parts
    }
    x = torch.randn(4, 1, 32, 40)
    for epoch in range(3):
        pruner.before(epoch)
        network(x).logits_BY.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert pruner.kept == target
    layers = [m for m in network.modules() if isinstance(m, Prunable)]
    assert sum(int((layer.weight != 0).sum()) for layer in layers) == target
    dense = network.dense
    assert 0 < int((dense.weight != 0).sum()) < dense.weight.numel()
    assert dense.bias.all(), "biases are never cut"


def test_too_small_an_input_is_named():
    with pytest.raises(
        ValueError, match=r"^an input of 15 mel bands x 100 frames is too small.*at conv8\)"
    ):
        count(settings().layers(50), (15, 100))
    assert last_map(settings().layers(50), (16, 31)) == (1, 1)
