"""Convolutions and dense layers against torch's own; spatial dropout and its generators."""

import math

import pytest
import torch

from scaling.networks import NETWORKS
from scaling.networks.modules.kernels import Convolution, Dense, Prunable, damper, initialize
from scaling.networks.modules.stochastic import SpatialDropout, reseed


@pytest.mark.parametrize(
    ("kernel", "damping", "factors"),
    [
        (3, 0.99, [0.01, 1, 0.01]),
        (3, 0.9, [0.1, 1, 0.1]),
        (5, 0.99, [0.01, 0.505, 1, 0.505, 0.01]),
        (5, 0.9, [0.1, 0.55, 1, 0.55, 0.1]),
        (1, 0.99, [1]),
        (2, 0.99, [1, 1]),
        (4, 0.99, [0.01, 0.67, 0.67, 0.01]),  # the centre lies between two taps
        (4, 1.0, [0, 2 / 3, 2 / 3, 0]),
        (3, 1.0, [0, 1, 0]),
        (3, 0.0, [1, 1, 1]),
    ],
)
def test_published_dampers(kernel: int, damping: float, factors: list[float]):
    assert damper(kernel, damping).squeeze(1).tolist() == pytest.approx(factors, abs=1e-6)


def test_damping_acts_along_frequency_only():
    layer = Convolution(2, 3, 3, damping=0.99)
    torch.nn.init.ones_(layer.weight)
    assert torch.allclose(layer.kernel[0, 0], torch.tensor([[0.01] * 3, [1.0] * 3, [0.01] * 3]))


def test_equals_a_plain_convolution_of_the_damped_kernel():
    layer = Convolution(2, 3, 5, stride=2, damping=0.9)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(4, 2, 20, 30)
    damped = layer.weight * damper(5, 0.9)
    assert torch.equal(layer(x), torch.nn.functional.conv2d(x, damped, stride=2, padding=1))


def test_gradient_is_damped_too():
    layer = Convolution(1, 1, 3, damping=1.0)
    torch.nn.init.normal_(layer.weight)
    layer(torch.randn(2, 1, 8, 8)).sum().backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad[0, 0, [0, 2]] == 0).all()
    assert (layer.weight.grad[0, 0, 1] != 0).all()


def test_undamped_layers_multiply_nothing():
    assert Convolution(2, 2, 1, damping=0.99).factor is None
    assert Convolution(2, 2, 3).factor is None


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 1)])
def test_padding_is_a_third(kernel: int, padding: int):
    assert Convolution(1, 1, kernel).padding == (padding, padding)


def test_a_rectangular_kernel_is_damped_along_frequency_only():
    layer = Convolution(2, 3, (4, 10), damping=0.9, bias=True)
    torch.nn.init.ones_(layer.weight)
    for time in range(10):
        assert layer.kernel[2, 1, :, time].tolist() == pytest.approx([0.1, 0.7, 0.7, 0.1])
    assert Convolution(2, 3, (2, 10), damping=0.9).factor is None


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [(4, 10), (3, 4), (10, 3), (1, 5)])
@pytest.mark.parametrize("padding", [(0, 0), (2, 3), "same"])
def test_any_kernel_and_padding_is_torchs_own(kernel, padding):
    layer = Convolution(2, 3, kernel, damping=0.5, padding=padding, bias=True)
    initialize(layer, torch.Generator().manual_seed(0))
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, 20, 31)
    damped = layer.weight * damper(kernel[0], 0.5)
    expected = torch.nn.functional.conv2d(x, damped, layer.bias, padding=padding)
    torch.testing.assert_close(layer(x), expected)
    assert padding != "same" or expected.shape[2:] == x.shape[2:]


def test_padding_warns_of_nothing(recwarn: pytest.WarningsRecorder):
    layer = Convolution(1, 1, (4, 10), padding="same")
    torch.nn.init.ones_(layer.weight)
    layer(torch.ones(1, 1, 8, 12))
    assert not recwarn.list


@pytest.mark.parametrize("layer", [Convolution(4, 6, (4, 3), bias=True), Dense(20, 30)])
def test_what_is_cut_stays_cut(layer: Prunable):
    initialize(layer, torch.Generator().manual_seed(0))
    keep = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    assert isinstance(layer, Convolution | Dense)
    x = torch.randn((2, 4, 9, 9) if isinstance(layer, Convolution) else (2, 20))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for count in (2, 1):  # cut twice: the second mask counts
        keep[::count] = False
        layer.cut(keep)
        before = layer.weight.detach().clone()
        layer(x).square().sum().backward()
        optimizer.step()
        assert (layer.weight[~keep] == 0).all()
        assert (layer.weight[keep] != before[keep]).all()
        optimizer.zero_grad()
        optimizer.state.clear()
    assert not keep.any()


def test_dense_is_torchs_own():
    layer = Dense(5, 3)
    initialize(layer, torch.Generator().manual_seed(0))
    x = torch.randn(4, 5)
    torch.nn.init.normal_(layer.bias)
    assert torch.equal(layer(x), x @ layer.weight.T + layer.bias)
    assert layer.kernel is layer.weight
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_initialization_draws_from_its_generator_alone():
    def drawn(seed: int) -> list[torch.Tensor]:
        layers = torch.nn.ModuleList([Convolution(30, 40, (4, 10), bias=True), Dense(400, 50)])
        initialize(layers, torch.Generator().manual_seed(seed))
        return list(layers.parameters())

    torch.manual_seed(1)
    one = drawn(0)
    torch.manual_seed(2)
    same, other = drawn(0), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    kernel, bias, dense, offset = one
    assert not torch.equal(kernel, other[0])
    assert not torch.equal(dense, other[2])
    assert kernel.std().item() == pytest.approx(math.sqrt(2 / 1200), rel=0.02)
    assert dense.abs().max().item() == pytest.approx(1 / 20, rel=0.01)
    assert dense.std().item() == pytest.approx(1 / 20 / math.sqrt(3), rel=0.02)
    assert not bias.any()
    assert not offset.any()


def seeded(share: float, seed: int = 0) -> SpatialDropout:
    layer = SpatialDropout(share)
    reseed(layer, lambda name: torch.Generator().manual_seed(seed + len(name)))
    return layer


def test_dropout_drops_whole_channels_of_a_clip():
    x = torch.rand(40, 50, 3, 4) + 0.5
    y = seeded(0.2)(x)
    dropped_BC = (y == 0).all(dim=(2, 3))
    assert torch.equal(dropped_BC, (y == 0).any(dim=(2, 3))), "whole channels"
    torch.testing.assert_close(y[~dropped_BC], x[~dropped_BC] / 0.8)
    assert dropped_BC.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert 0 < dropped_BC[0].sum() < 50
    assert not torch.equal(dropped_BC[0], dropped_BC[1]), "each clip has its own"


def test_dropout_draws_from_its_generator_alone():
    x = torch.ones(8, 16, 2, 2)
    torch.manual_seed(1)
    layer = seeded(0.5)
    first, second = layer(x), layer(x)
    torch.manual_seed(2)
    again = seeded(0.5)
    assert torch.equal(again(x), first)
    assert torch.equal(again(x), second)
    assert not torch.equal(first, second)
    assert not torch.equal(seeded(0.5, seed=1)(x), first)


def test_dropout_is_the_identity_in_evaluation_and_at_share_0():
    x = torch.rand(2, 3, 4, 5)
    assert SpatialDropout(0.5).eval()(x) is x
    assert SpatialDropout(0.0)(x) is x
    with pytest.raises(AssertionError, match=r"^reseed\(\) the network before it trains$"):
        SpatialDropout(0.5)(x)
    assert not SpatialDropout(0.5).state_dict()


PLACES = {"cp_resnet": 4, "vib_cnn": 4, "vgg9": 8}


@pytest.mark.parametrize("kind", PLACES)
def test_dropout_in_each_network(kind):
    """Each place draws its own stream; a network without dropout has the same weights."""
    network = NETWORKS[kind](width=4, dropout=0.5)
    model, plain = (
        each.build(3, torch.Generator().manual_seed(0))
        for each in (network, network.model_copy(update={"dropout": 0.0}))
    )
    named = {n: m for n, m in model.named_modules() if isinstance(m, SpatialDropout)}
    assert len(named) == PLACES[kind]
    assert plain.state_dict().keys() == model.state_dict().keys()
    x = torch.randn(4, 1, 40, 60)
    assert torch.equal(plain.eval()(x).logits_BY, model.eval()(x).logits_BY)
    model.train()
    names: list[str] = []

    def make(name: str) -> torch.Generator:
        names.append(name)
        return torch.Generator().manual_seed(sum(name.encode()))

    def run() -> torch.Tensor:
        reseed(model, make)
        return model(x).features_BCFN

    first = run()
    assert names == [module.stream or name for name, module in named.items()]
    assert len(set(names)) == len(names)
    assert torch.equal(run(), first), "an epoch that is run again draws the same"
    assert not torch.equal(model(x).features_BCFN, first), "and goes on drawing until then"
    silent = (first == 0).all(dim=(2, 3)).float().mean().item()
    assert silent > 0.3, "it acts on what the classes are told from"
