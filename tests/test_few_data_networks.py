"""The networks of the few-data paper: its sizes, plain twins in its own axes, dropout, damping,
pruning, receptive fields.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import counted
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks import NETWORKS, Network
from scaling.networks.cost import Axis, Field, Layer, any_size, count, field, last_map
from scaling.networks.modules.kernels import Convolution, Prunable
from scaling.networks.modules.stochastic import Stochastic, reseed
from scaling.objectives.modules.bottleneck import BottleneckHead
from scaling.pruning.pruner import Pruner
from scaling.receptive_field import gradients
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.training import classifier

PATCH = (128, 128)  # mel bands x frames: 3 s
# kind, width, classes, parameters, GMAC: facts, vib_few_data_consistency, section B3
TABLE = [
    ("sb_cnn", 24, 10, 241_436, 0.057),
    ("sb_cnn", 24, 15, 241_761, 0.057),
    ("vgg5", 32, 10, 42_764, 0.055),
    ("vgg5", 32, 15, 45_329, 0.055),
    ("vgg5", 128, 10, 613_388, 0.82),
    ("vgg5", 128, 15, 623_633, 0.82),
    ("timbre", 1, 10, 7_572, 0.019),
    ("timbre", 1, 15, 11_357, 0.029),  # the facts' .019 is that of 10 classes
]
KINDS = ("sb_cnn", "vgg5", "timbre")
SMALL = {"sb_cnn": 3, "vgg5": 4, "timbre": 2}  # widths


def settings(kind: str, width: int = 0, **others: object) -> Network:
    return NETWORKS[kind](width=width or SMALL[kind], **others)  # type: ignore[arg-type]


def build(
    network: Network, classes: int = 5, size: tuple[int, int] = PATCH, seed: int = 0
) -> nn.Module:
    return network.build(classes, torch.Generator().manual_seed(seed), size=size)


def stirred(model: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics, scales and offsets that are not those of the start."""
    draws = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias):
                tensor.data.normal_(0, 0.3, generator=draws)
            for tensor in (module.running_var, module.weight):
                tensor.data.uniform_(0.5, 2, generator=draws)
        elif isinstance(module, Prunable):
            module.bias.data.normal_(0, 0.3, generator=draws)
    return model.eval()


@pytest.mark.parametrize(("kind", "width", "classes", "parameters", "gmac"), TABLE)
def test_published_sizes(kind: str, width: int, classes: int, parameters: int, gmac: float):
    network = settings(kind, width)
    cost = count(network.layers(classes), PATCH)
    assert cost.parameters == parameters
    assert float(f"{cost.macs / 1e9:.2g}") == gmac
    model = build(network, classes)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_published_maps():
    """The facts' (frames, mel bands), turned."""
    maps = {
        kind: [part.map for part in count(settings(kind).layers(10), PATCH).parts] for kind in KINDS
    }
    assert maps["sb_cnn"] == [(62, 31), (29, 6), (25, 2), (1, 1), (1, 1)]
    assert maps["vgg5"] == [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4), (1, 1)]
    assert maps["timbre"] == [(21, 122)]
    shapes = {"sb_cnn": (48, 25, 2), "vgg5": (32, 4, 4), "timbre": (10, 21, 122)}
    for kind, width in (("sb_cnn", 24), ("vgg5", 32), ("timbre", 1)):
        output = build(settings(kind, width), 10).eval()(torch.zeros(2, 1, *PATCH))
        assert output.features_BCFN.shape == (2, *shapes[kind])
        assert output.logits_BY.shape == (2, 10)
        assert output.embedding_BE is None
    hidden, dense = settings("sb_cnn", 24).layers(10)[-2:]
    assert (hidden.outputs, dense.inputs) == (64, 64)


def test_frame_by_frame_the_prototypical_network_has_its_published_size():
    """Its input normalization has a scale and an offset for each of 128 frames."""
    network = settings("vgg5", 128, input_norm="time")
    assert count(network.layers(10), PATCH).parameters == 613_642
    model = build(network, 10)
    assert sum(p.numel() for p in model.parameters()) == 613_642


def test_normalization_of_the_input():
    """By channel one mean and deviation over all pixels, by frame one for each frame; TensorFlow's
    constants.
    """
    x = torch.randn(6, 1, *PATCH) * 3 + torch.linspace(-5, 5, 128)
    for how, over in (("channel", (0, 2, 3)), ("time", (0, 1, 2))):
        model = build(settings("vgg5", input_norm=how)).train()
        mean, variance = x.mean(over, True), x.var(over, unbiased=False, keepdim=True)
        expected = (x - mean) / (variance + 1e-3).sqrt()
        torch.testing.assert_close(model.input_norm(x), expected, rtol=1e-4, atol=1e-5)
    for kind in KINDS:
        norms = [m for m in build(settings(kind)).modules() if isinstance(m, nn.BatchNorm2d)]
        assert len(norms) == (6 if kind == "vgg5" else 1)
        assert all((norm.eps, norm.momentum) == (1e-3, 0.01) for norm in norms)
        sooner = build(settings(kind, momentum=0.1)).modules()
        assert {m.momentum for m in sooner if isinstance(m, nn.BatchNorm2d)} == {0.1}


def turned(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution over (frames, mel bands)."""
    assert isinstance(module, Convolution)
    return module.weight.transpose(2, 3), module.bias


def normalized(x: Tensor, norm: nn.Module) -> Tensor:
    each = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    mean, variance, scale, offset = (t[None, :, None, None] for t in each)
    return (x - mean) / (variance + 1e-3).sqrt() * scale + offset


def sb_cnn_twin(model: nn.Module, x_B1NF: Tensor) -> Tensor:
    x = normalized(x_B1NF, model.input_norm)
    for name, pool in (("conv1", (4, 2)), ("conv2", (4, 2)), ("conv3", (1, 1))):
        x = functional.conv2d(x, *turned(model.get_submodule(name))).clamp(min=0)
        x = functional.max_pool2d(x, pool)
    hidden, dense = model.get_submodule("hidden"), model.dense
    read = (x.transpose(2, 3).flatten(1) @ hidden.weight.T + hidden.bias).clamp(min=0)
    return read @ dense.weight.T + dense.bias


def vgg5_twin(model: nn.Module, x_B1NF: Tensor) -> Tensor:
    x = normalized(x_B1NF, model.input_norm)
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        x = functional.conv2d(x, *turned(model.get_submodule(name)), padding=1)
        x = torch.where(x > 0, x, x.exp() - 1)
        x = functional.max_pool2d(normalized(x, model.get_submodule(f"{name}_norm")), 2)
    return x.transpose(2, 3).flatten(1) @ model.dense.weight.T + model.dense.bias


def timbre_twin(model: nn.Module, x_B1NF: Tensor) -> Tensor:
    scores = functional.conv2d(normalized(x_B1NF, model.input_norm), *turned(model.conv))
    of_class = scores.split(scores.shape[1] // model.classes, dim=1)
    return torch.stack([each.flatten(1).max(dim=1).values for each in of_class], dim=1)


TWINS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "sb_cnn": sb_cnn_twin,
    "vgg5": vgg5_twin,
    "timbre": timbre_twin,
}


@pytest.mark.parametrize("kind", KINDS)
def test_plain_twins_in_the_papers_axes(kind: str):
    """Kernels, poolings and the order of ELU and normalization, over (frames, mel bands)."""
    size = (128, 144)
    model = stirred(build(settings(kind), 5, size))
    x_BCFN = torch.randn(3, 1, *size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits_BY = model(x_BCFN).logits_BY
        twin_BY = TWINS[kind](model, x_BCFN.transpose(2, 3))
    assert logits_BY.shape == (3, 5)
    torch.testing.assert_close(logits_BY, twin_BY, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "others"), [*((kind, {}) for kind in KINDS), ("vgg5", {"input_norm": "time"})]
)
def test_costs_are_those_of_the_built_network(kind: str, others: dict[str, Any]):
    """Plain twin: torch's own counters on the module that is trained."""
    size, channels = (115, 140), 2
    network = settings(kind, **others)
    model = network.build(5, torch.Generator().manual_seed(0), channels, size)
    cost = count(network.layers(5, channels), size)
    output = counted(model, cost, size, channels)
    rows_and_columns = last_map(network.layers(5, channels), size)
    assert output.features_BCFN.shape[2:] == rows_and_columns


def test_sizes_follow_the_width():
    for width in (1, 12, 48):
        outputs = [layer.outputs for layer in settings("sb_cnn", width).layers(10)]
        assert outputs == [width, 2 * width, 2 * width, round(8 / 3 * width), 10]
        outputs = [layer.outputs for layer in settings("vgg5", width).layers(10)]
        assert outputs == [width] * 5 + [10]
        assert [x.outputs for x in settings("timbre", width).layers(10)] == [10 * width]


def test_glorot_uniform_and_no_bias():
    for kind in KINDS:
        for module in build(settings(kind, 8), 10).modules():
            if not isinstance(module, Prunable):
                continue
            outputs, inputs = module.weight.shape[:2]
            taps = module.weight[0, 0].numel()
            bound = (6 / ((inputs + outputs) * taps)) ** 0.5
            assert 0.95 * bound < module.weight.abs().max() <= bound
            assert module.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
            assert not module.bias.any()


def test_equal_seeds_start_alike_damped_or_not():
    for kind in KINDS:
        first, damped, other = (
            build(settings(kind, damping=damping), seed=seed)
            for damping, seed in ((0.0, 0), (0.9, 0), (0.0, 1))
        )
        for (name, a), b, c in zip(
            first.named_parameters(), damped.parameters(), other.parameters(), strict=True
        ):
            assert torch.equal(a, b), name
            assert torch.equal(a, c) == (a.ndim < 2), name
        x = torch.randn(2, 1, *PATCH)
        assert not torch.equal(first.eval()(x).features_BCFN, damped.eval()(x).features_BCFN)
        taps = {"sb_cnn": 5, "vgg5": 3, "timbre": 108}[kind]
        for module in damped.modules():
            if isinstance(module, Convolution):
                assert module.factor is not None
                assert module.factor.shape == (taps, 1)
                assert module.factor[0].item() == pytest.approx(0.1)


@pytest.mark.parametrize(("kind", "places"), [("sb_cnn", 2), ("vgg5", 1), ("timbre", 0)])
def test_dropout_in_front_of_dense_layers(kind: str, places: int):
    """Half of their inputs, one by one, from the network's own streams; none in evaluation."""
    model = build(settings(kind)).train()
    drawing = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Stochastic) and module.share > 0
    }
    assert list(drawing) == ["dropouts.hidden", "dropouts.dense"][2 - places :]
    assert all(module.share == 0.5 for module in drawing.values())
    x = torch.randn(4, 1, *PATCH)

    def run(seed: int, stream: int = 1) -> Tensor:
        torch.manual_seed(seed)
        reseed(model, lambda name: torch_stream(stream, name))
        return model(x).logits_BY

    first = run(0)
    assert torch.equal(run(1), first), "torch's global generator is not drawn from"
    assert torch.equal(model(x).logits_BY, first) == (places == 0), "the stream goes on"
    assert torch.equal(run(0, stream=2), first) == (places == 0)
    model.eval()
    assert torch.equal(model(x).logits_BY, model(x).logits_BY)


def test_half_of_the_elements_are_dropped_and_the_others_doubled():
    model = build(settings("vgg5", 32)).train()
    reseed(model, lambda name: torch_stream(1, name))
    read: list[Tensor] = []
    model.dense.register_forward_pre_hook(lambda _, given: read.append(given[0].detach()))
    features_BCFN = model(torch.randn(8, 1, *PATCH)).features_BCFN
    flat_BD, kept_BD = features_BCFN.flatten(1), read[0] != 0
    assert kept_BD.float().mean().item() == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(read[0], torch.where(kept_BD, 2 * flat_BD, 0 * flat_BD))
    share_BC = kept_BD.unflatten(1, (32, 16)).float().mean(dim=2)
    assert ((share_BC > 0) & (share_BC < 1)).float().mean() > 0.9, "not whole channels"


FIELDS = {
    "sb_cnn": Field(Axis(32, 4, 15.5), Axis(100, 16, 49.5)),
    "vgg5": Field(Axis(94, 32, 15.5), Axis(94, 32, 15.5)),
    "timbre": Field(Axis(108, 1, 53.5), Axis(7, 1, 3.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_field_is_where_gradients_are(monkeypatch: pytest.MonkeyPatch, kind: str):
    """Positive weights, no normalization, averages for maxima: the box of the gradient is the
    arithmetic's, also behind a pooling that is not square.
    """
    network, size = settings(kind, 1), (130, 150)
    layers = network.layers(3)
    assert field(layers) == FIELDS[kind]
    model = build(network, 3, size).double()
    for module in model.modules():
        if isinstance(module, Convolution):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    average = functional.avg_pool2d
    monkeypatch.setattr("scaling.networks.modules.chain.functional.max_pool2d", average)
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    rows, columns = last_map(layers, size)
    for pixel in ((rows // 2, columns // 2), (0, columns - 1)):
        target = lambda x, at=pixel: model(x).features_BCFN[:, :, *at]  # noqa: E731
        values_FN = gradients.effective_field(model, [ones], target).values_FN
        for axis, index, length, across in zip(field(layers), pixel, size, (1, 0), strict=True):
            lit = np.flatnonzero(values_FN.any(axis=across))
            assert (lit[0], lit[-1]) == axis.interval(index, length)


def test_pooling_need_not_be_square():
    plain = Layer("a", 1, 1, (3, 3), pool=2)
    assert plain.window == plain._replace(pool=(2, 2)).window == (2, 2)
    assert field([plain]) == field([plain._replace(pool=(2, 2))])
    flat = plain._replace(pool=(1, 3))
    assert count([flat], (10, 10)).parts[0].map == (8, 2)
    assert field([flat]) == Field(Axis(3, 1, 1.0), Axis(5, 3, 2.0))


def test_who_takes_inputs_of_any_size():
    """A map whose target is cropped feeds a network less than it was built for."""
    answers = {kind: any_size(settings(kind).layers(3)) for kind in KINDS}
    assert answers == {"sb_cnn": False, "vgg5": False, "timbre": True}
    for flatten, other in itertools.product((False, True), ("vib_cnn", "vgg9", "cp_resnet")):
        others = {"flatten": flatten} if other == "vib_cnn" else {}
        known = any_size(settings(other, 2, **others).layers(3))
        assert known == (other != "vib_cnn" or not flatten)
    by_frame = Layer("a", 1, 1, input_norm="time")
    assert not any_size([by_frame])
    assert any_size([by_frame._replace(input_norm="channel")])
    for kind in KINDS:
        model, x = build(settings(kind)).eval(), torch.randn(1, 1, 120, 136)
        if answers[kind]:
            assert model(x).logits_BY.shape == (1, 5)
        else:
            model = build(settings(kind), size=(256, 128)).eval()
            with pytest.raises(RuntimeError, match="cannot be multiplied"):
                model(x)


def test_a_class_takes_the_largest_value_of_its_filters():
    model = build(settings("timbre", 3), 2).eval()
    with torch.no_grad():
        model.conv.weight.zero_()
        model.conv.bias.copy_(torch.tensor([1.0, 5.0, 2.0, -3.0, -2.0, -9.0]))
    output = model(torch.randn(2, 1, *PATCH))
    assert torch.equal(output.logits_BY, torch.tensor([[5.0, -2.0]]).expand(2, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["static", "magnitude"])
def test_pruning_cuts_convolutions_and_all_dense_layers(trial: Trial, kind: str, how: str):
    wide, narrow = 2 * SMALL[kind], SMALL[kind]
    changes: dict[str, Any] = {
        "network.kind": kind,
        "network.depth": 0,
        "network.pointwise": 0,
        "network.width": wide,
        "network.damping": 0.5,
        "sound.features.mels": 128,
        "sound.features.hop": 128,
        "pruning.kind": how,
        "pruning.target_width": narrow,
    }
    if how == "magnitude":
        changes |= {"pruning.length": 2, "pruning.guard": 1.0}
    pruned = changed(trial, changes)
    target = sizes.kept_weights(pruned, 5)
    network = classifier.network(pruned, 5, torch_stream(0, "t"))
    reseed(network, lambda name: torch_stream(0, name))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    pruner = Pruner(pruned.pruning, pruned.seed, network, optimizer, target)
    parts = sizes.cost(pruned, 5).parts
    assert {name: layer.weight.numel() for name, layer in pruner.layers.items()} == {
        part.name: part.weights for part in parts
    }
    x = torch.randn(4, 1, *pruned.sound.shape)
    for epoch in range(3):
        pruner.before(epoch)
        network(x).logits_BY.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    layers = [m for m in network.modules() if isinstance(m, Prunable)]
    assert pruner.kept == target == sum(int((layer.weight != 0).sum()) for layer in layers)
    assert all(layer.weight.any() for layer in layers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bottleneck_behind_each(trial: Trial, kind: str):
    changes = {
        "network.kind": kind,
        "network.depth": 0,
        "network.pointwise": 0,
        "sound.features.mels": 128,
        "sound.features.hop": 128,
        "objective.kind": "bottleneck",
        "objective.latent": 3,
    }
    vib = changed(trial, changes)
    network = classifier.network(vib, 4, torch_stream(0, "t")).eval()
    assert isinstance(network, BottleneckHead)
    assert sizes.cost(vib, 4).parameters == sum(p.numel() for p in network.parameters())
    assert network(torch.randn(2, 1, *vib.sound.shape)).logits_BY.shape == (2, 4)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"^an input of 107 mel bands x 128 .* at conv\)"):
        count(settings("timbre").layers(10), (107, 128))
    for kind, size, layer in (("sb_cnn", (128, 99), "conv3"), ("vgg5", (31, 128), "conv5")):
        line = rf"^an input of {size[0]} mel bands x {size[1]} frames is too small .* at {layer}\)"
        with pytest.raises(ValueError, match=line):
            count(settings(kind).layers(10), size)
        with pytest.raises(ValueError, match=line):
            build(settings(kind), size=size)


def test_each_has_only_its_own_settings():
    others = {"timbre": "dropout", "sb_cnn": "input_norm", "vgg5": "linear_embedding"}
    for kind, name in others.items():
        assert name not in NETWORKS[kind].model_fields
