"""The CNN of the information bottleneck paper against its table, built networks and gradients."""

import numpy as np
import pytest
import torch
from helpers import counted
from torch import nn

from scaling.networks import Network
from scaling.networks.cost import Axis, Field, count, field, last_map
from scaling.networks.modules.chain import ChainModule
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.vib_cnn import VIBCNN
from scaling.objectives.bottleneck import Bottleneck
from scaling.receptive_field import gradients

CONVOLUTIONS = 1_106_816  # parameters of the four, whatever they are applied to
# classes, frames of 40 mel bands, padding, last map, width of the flattened map, parameters: worked
# out beside the facts (section A3) from modules built in torch
TABLE = [
    (10, 201, "valid", (14, 85), 190_400, 3_010_826),
    (10, 201, "same", (20, 100), 320_000, 4_306_826),
    (50, 251, "valid", (14, 110), 246_400, 13_426_866),
    (50, 251, "same", (20, 125), 400_000, 21_106_866),
    (7, 101, "valid", (14, 35), 78_400, 1_655_623),
    (7, 101, "same", (20, 50), 160_000, 2_226_823),
    (15, 501, "valid", (14, 235), 526_400, 9_002_831),
    (15, 501, "same", (20, 250), 800_000, 13_106_831),
]
GMACS = {201: 5.8, 251: 7.4, 101: 2.5, 501: 15.6}  # valid


def settings(width: int = 32, **others: object) -> Network:
    return VIBCNN(width=width, **others)  # type: ignore[arg-type]


def build(
    network: Network, classes: int = 10, size: tuple[int, int] | None = None, seed: int = 0
) -> ChainModule:
    generator = torch.Generator().manual_seed(seed)
    model = network.build(classes, generator, size=size)
    assert isinstance(model, ChainModule)
    return model


@pytest.mark.parametrize(("classes", "frames", "padding", "shape", "flat", "parameters"), TABLE)
def test_table_of_the_facts(classes, frames, padding, shape, flat, parameters):
    layers = settings(flatten=True, padding=padding).layers(classes)
    cost = count(layers, (40, frames))
    assert cost.parameters == parameters == CONVOLUTIONS + (flat + 1) * classes
    assert cost.weights == parameters - (32 + 96 + 96 + 160) - classes
    assert sum(part.parameters for part in cost.parts[:4]) == CONVOLUTIONS
    assert cost.parts[3].map == last_map(layers, (40, frames)) == shape
    assert cost.parts[4].weights == cost.parts[4].macs == flat * classes
    if padding == "valid":
        assert round(cost.macs / 1e9, 1) == GMACS[frames]
    pooled = count(settings(padding=padding).layers(classes), (40, frames))
    assert pooled.parameters == CONVOLUTIONS + 161 * classes
    assert pooled.parts[:4] == cost.parts[:4]


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_published_network_is_what_is_built(padding):
    _, frames, _, shape, _, parameters = next(r for r in TABLE if r[0] == 7 and r[2] == padding)
    model = build(settings(flatten=True, padding=padding), 7, (40, frames))
    assert sum(p.numel() for p in model.parameters()) == parameters
    output = model(torch.zeros(1, 1, 40, frames))
    assert output.features_BCFN.shape == (1, 160, *shape)
    assert output.logits_BY.shape == (1, 7)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("width", "size"), [(1, (40, 101)), (3, (27, 64))])
def test_costs_are_those_of_the_built_network(width, size, padding, flatten):
    """Plain twin: torch's own counters on the module that is trained."""
    network = settings(width, flatten=flatten, padding=padding)
    model, cost = build(network, 5, size), count(network.layers(5), size)
    output = counted(model, cost, size)
    assert output.features_BCFN.shape == (1, 5 * width, *cost.parts[3].map)
    assert cost.parts[4].map == (1, 1)


def test_filters_follow_the_width():
    for width in (1, 8, 32):
        convolutions = settings(width).layers(10)[:4]
        assert [layer.outputs for layer in convolutions] == [width, 3 * width, 3 * width, 5 * width]
    weights = [sum(x.weights for x in settings(w).layers(10)[1:4]) for w in (16, 32)]
    assert weights[1] == 4 * weights[0]


def test_the_dense_layer_reads_the_mean_or_the_whole_map():
    x = torch.randn(2, 1, 40, 60)
    for flatten in (False, True):
        model = build(settings(2, flatten=flatten), 3, (40, 60))
        output = model(x)
        read = output.features_BCFN.flatten(1) if flatten else output.features_BCFN.mean((2, 3))
        torch.testing.assert_close(output.logits_BY, model.dense(read))
        assert (output.features_BCFN >= 0).all()


@pytest.mark.parametrize(("padding", "starts"), [("valid", (6.5, 15.5)), ("same", (2.5, 2.5))])
def test_field(padding, starts):
    seen = field(settings(padding=padding).layers(10))
    assert seen == Field(Axis(14, 2, starts[0]), Axis(32, 2, starts[1]))
    assert count(settings(padding=padding).layers(10), (40, 101)).receptive_field == 32


def lit(values_FN: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, first and last column with a gradient."""
    rows, columns = (np.flatnonzero(values_FN.any(axis=axis)) for axis in (1, 0))
    return (rows[0], rows[-1]), (columns[0], columns[-1])


@pytest.mark.parametrize("size", [(40, 101), (41, 64), (17, 70)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_field_is_where_gradients_are(monkeypatch, padding, size):
    """Positive weights, averages for maxima: the box of the gradient is the arithmetic's."""
    network = settings(1, padding=padding)
    model = build(network).double()
    for module in model.modules():
        if isinstance(module, Convolution):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    average = nn.functional.avg_pool2d
    monkeypatch.setattr("scaling.networks.modules.chain.functional.max_pool2d", average)
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    layers = network.layers(10)
    rows, columns = last_map(layers, size)
    for pixel in ((rows // 2, columns // 2), (0, 0), (rows - 1, columns - 1), (1, columns - 1)):
        target = lambda x, at=pixel: model(x).features_BCFN[:, :, *at]  # noqa: E731
        found = gradients.effective_field(model, [ones], target)
        expected = tuple(
            axis.interval(index, length)
            for axis, index, length in zip(field(layers), pixel, size, strict=True)
        )
        assert lit(found.values_FN) == expected


@pytest.mark.filterwarnings("ignore:the maximum field")
@pytest.mark.parametrize("damping", [0.0, 0.9])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_maps_of_real_networks(padding, damping):
    """Maxima and all: zero outside the field; from the field alone comes the same map."""
    network, size = settings(4, padding=padding, damping=damping), (40, 90)
    model, seen = build(network), field(network.layers(10))
    clips = torch.randn(3, 1, *size, generator=torch.Generator().manual_seed(1))
    target = gradients.target_of(model, "feature")
    whole = gradients.effective_field(model, [clips], target)
    assert whole.pixel == tuple(n // 2 for n in last_map(network.layers(10), size))
    place = gradients.place_of(seen, whole.pixel, size)
    (top, bottom), (left, right) = place.box
    outside = np.ones(size, bool)
    outside[top : bottom + 1, left : right + 1] = False
    assert (whole.values_FN[outside] == 0).all()
    assert (whole.values_FN[~outside] != 0).mean() > 0.9
    assert gradients.numbers(whole.values_FN, place).inside == 1
    cut = gradients.cropped(target, seen, whole.pixel, size)
    crop = gradients.effective_field(model, [clips], cut).values_FN
    np.testing.assert_allclose(crop, whole.values_FN, rtol=1e-3, atol=1e-6 * crop.max())


def test_damping_acts_on_every_kernel_along_frequency():
    base, damped = build(settings(2)), build(settings(2, damping=0.99))
    assert base.state_dict().keys() == damped.state_dict().keys()
    for name, weight in base.state_dict().items():
        assert torch.equal(weight, damped.state_dict()[name]), name
    factors = torch.tensor([0.01, 0.67, 0.67, 0.01])[:, None]
    for block in (damped.get_submodule(stage.name) for stage in damped.stages):
        assert isinstance(block, Convolution)
        torch.testing.assert_close(block.kernel, block.weight * factors)
    x = torch.randn(2, 1, 40, 60)
    assert not torch.equal(base(x).features_BCFN, damped(x).features_BCFN)


def test_equal_seeds_start_alike():
    first, second = (build(settings(2, flatten=True), 3, (40, 50)) for _ in range(2))
    other = build(settings(2, flatten=True), 3, (40, 50), seed=1)
    for (name, a), b, c in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert torch.equal(a, c) == name.endswith("bias"), name
        assert a.any() != name.endswith("bias"), name
    for module in first.modules():
        if isinstance(module, Dense):
            fan_in = module.weight.shape[1]
            assert module.weight.abs().max() <= fan_in**-0.5


def test_too_small_an_input_is_named():
    line = r"^an input of 12 mel bands x 100 frames is too small .* at conv4\): more bands"
    for flatten in (False, True):
        with pytest.raises(ValueError, match=line):
            count(settings(flatten=flatten).layers(10), (12, 100))
    with pytest.raises(ValueError, match=line):
        build(settings(1, flatten=True), 10, (12, 100))
    with pytest.raises(ValueError, match=r"^an input of 40 mel bands x 20 frames is too small"):
        count(settings().layers(10), (40, 20))
    assert count(settings().layers(10), (14, 32)).parts[3].map == (1, 1)
    with pytest.raises(AssertionError, match="needs the size of the input"):
        build(settings(1, flatten=True))


def test_keras_first_weights_reach_the_head():
    """Glorot's uniform bound in every layer, the bottleneck's own included; He's is the default."""
    network = settings(8, first_weights="glorot")
    assert settings(8).styled.initialization == settings(8).head_scheme == "he"
    generator = torch.Generator().manual_seed(0)
    objective = Bottleneck(latent=64)
    base = network.build(objective.outputs(10), generator)
    whole = objective.with_head(base, 10, generator, network.head_scheme)
    layers = [each for each in whole.modules() if isinstance(each, Convolution | Dense)]
    assert len(layers) == 6
    for each in layers:
        outputs, inputs = each.weight.shape[:2]
        taps = each.weight[0, 0].numel()
        bound = (6 / ((inputs + outputs) * taps)) ** 0.5
        assert 0.95 * bound < each.weight.abs().max() <= bound
