"""CP-Mobile, the DCASE baseline, TF-SepNet and BC-ResNet: published counts, plain twins, damping,
pruning, stacking, whole trials, and what they cannot have.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from scaling import machine
from scaling.networks import NETWORKS, Network
from scaling.networks.cost import Axis, Layer, count, field
from scaling.networks.modules.bc_resnet import SubSpectralNorm
from scaling.networks.modules.cp_mobile import InvertedBlock, InvertedModule, ResponseNorm
from scaling.networks.modules.kernels import Convolution, Prunable, damper, initialize
from scaling.networks.modules.stochastic import reseed
from scaling.networks.modules.tf_sepnet import SeparateBlock, shuffled
from scaling.pruning import compaction
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.results.manifest import price
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import classifier, stacked
from scaling.training.epoch import Epoch
from scaling.training.grouped import grouped
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session

KINDS = ("cp_mobile", "dcase_baseline", "tf_sepnet", "bc_resnet")
SMALL = {"cp_mobile": 8, "dcase_baseline": 8, "tf_sepnet": 4, "bc_resnet": 4}
# kind, W, input, classes, parameters, multiply-adds, the same as NeSsi (torchinfo 1.8.0) counts
PUBLISHED = [
    ("cp_mobile", 32, (256, 64), 10, 126_952, 28_889_088, 28_893_268),
    ("dcase_baseline", 32, (256, 65), 10, 61_148, 29_416_448, 29_419_156),
    ("tf_sepnet", 64, (512, 64), 10, 126_858, 29_413_888, 29_419_648),
    ("bc_resnet", 8, (40, 98), 12, 9_232, 2_408_440, 2_410_868),
]
# BC-ResNet-1, -2, -3, -6 and -8: Kim et al. 2021, 12 classes, thousands of parameters
BROADCASTED = [(8, 9.2), (16, 27.3), (24, 54.2), (48, 188), (64, 321)]


def settings(kind: str, width: int = 0, **others: object) -> Network:
    return NETWORKS[kind].model_validate({"kind": kind, "width": width or SMALL[kind], **others})


def build(network: Network, seed: int = 0, classes: int = 5) -> nn.Module:
    return network.build(classes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("kind", "width", "size", "classes", "parameters", "macs", "dcase"), PUBLISHED
)
def test_published_counts(kind, width, size, classes, parameters, macs, dcase):
    network = settings(kind, width)
    cost = count(network.layers(classes), size)
    assert (cost.parameters, cost.macs, cost.dcase_macs) == (parameters, macs, dcase)
    model = build(network, classes=classes)
    assert sum(each.numel() for each in model.parameters()) == parameters


def test_broadcasted_networks_of_the_paper():
    for width, thousands in BROADCASTED:
        cost = count(settings("bc_resnet", width).layers(12), (40, 98))
        assert round(cost.parameters / 1000, 0 if thousands > 100 else 1) == thousands


@pytest.mark.parametrize("kind", KINDS)
def test_counts_and_maps_are_those_of_the_built_network(kind: str):
    """At odd sizes, too: torch's own counters, and each layer's map, as it is put out."""
    size = (40, 51) if kind == "bc_resnet" else (85, 51)
    network = settings(kind)
    cost = count(network.layers(5), size)
    model = build(network).eval()
    layers = {name: each for name, each in model.named_modules() if isinstance(each, Prunable)}
    assert list(layers) == [part.name for part in cost.parts]
    assert [each.weight.numel() for each in layers.values()] == [p.weights for p in cost.parts]
    maps: dict[str, tuple[int, ...]] = {}
    for name, layer in layers.items():
        layer.register_forward_hook(
            lambda _, __, y, name=name: maps.update({name: (*y.shape[2:], 1, 1)[:2]})
        )
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, *size))
    assert maps == {part.name: part.map for part in cost.parts}
    assert counter.get_total_flops() == 2 * cost.macs


# Their parts, against plain twins


def test_a_grouped_convolution_is_several():
    """Damped and cut, each group as a convolution of its own; no group has other weights."""
    layer = Convolution(4, 6, (3, 3), (2, 1), 0.5, (1, 2), groups=2, dilation=(1, 2))
    initialize(layer, torch.Generator().manual_seed(0))
    mask = torch.rand(6, 2, 3, 3) < 0.7
    layer.cut(mask)
    x = torch.randn(3, 4, 9, 11)
    kernel = layer.weight * damper(3, 0.5)
    halves = [
        functional.conv2d(a, w, None, (2, 1), (1, 2), (1, 2))
        for a, w in zip(x.chunk(2, dim=1), kernel.chunk(2), strict=True)
    ]
    torch.testing.assert_close(layer(x), torch.cat(halves, dim=1))
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad[~mask].any()
    counted = Layer("a", 4, 6, (3, 3), (2, 1), padding=(1, 2), groups=2, dilation=(1, 2))
    assert counted.weights == layer.weight.numel()
    assert count([counted], (9, 11)).parts[0].map == layer(x).shape[2:]


def test_response_normalization():
    """As the formula, gradients too; gamma and beta begin at zero, where it is the identity."""
    norm = ResponseNorm().double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.equal(norm(x), x)
    with torch.no_grad():
        norm.gamma.fill_(0.7)
        norm.beta.fill_(-0.2)
    g = (x**2).sum(dim=(2, 3), keepdim=True).sqrt()
    plain = x * (1 + 0.7 * g / g.mean(dim=1, keepdim=True)) - 0.2
    torch.testing.assert_close(norm(x), plain, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(plain)
    ours, theirs = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (norm(x), plain))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_sub_bands_are_normalized_apart():
    norm = SubSpectralNorm(3, 5)
    x = torch.randn(4, 3, 10, 6) * torch.arange(1, 11)[:, None]
    y = norm(x)
    for channel in range(3):
        for band in range(5):
            rows = slice(2 * band, 2 * band + 2)
            part, found = x[:, channel, rows], y[:, channel, rows]
            plain = (part - part.mean()) / (part.var(correction=0) + 1e-5).sqrt()
            torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    assert norm.weight.numel() == 15


def test_shuffled_channels_and_halves():
    x = torch.arange(6.0)[None, :, None, None].expand(1, 6, 2, 2)
    assert shuffled(x)[0, :, 0, 0].tolist() == [0, 3, 1, 4, 2, 5]
    model = build(settings("tf_sepnet")).eval()
    block = model.get_submodule("block2")
    assert isinstance(block, SeparateBlock)
    x = torch.randn(2, 4, 6, 7)
    one, other = shuffled(x).chunk(2, dim=1)
    y = functional.relu(block.frequency_norm(block.frequency(one))).mean(dim=2, keepdim=True)
    y = functional.relu(block.frequency_mix_norm(block.frequency_mix(y)))
    torch.testing.assert_close(block(x)[:, :2], one + y.expand_as(one))
    z = functional.relu(block.time_norm(block.time(other))).mean(dim=3, keepdim=True)
    z = functional.relu(block.time_mix_norm(block.time_mix(z)))
    torch.testing.assert_close(block(x)[:, 2:], other + z.expand_as(other))


def test_a_strided_block_averages_its_shortcut():
    model = build(settings("cp_mobile")).eval()
    assert isinstance(model, InvertedModule)
    block = model.get_submodule("block2")
    assert isinstance(block, InvertedBlock)
    assert block.shortcut
    nn.init.zeros_(block.project.weight)
    x = torch.rand(2, 8, 9, 9)
    torch.testing.assert_close(block(x), functional.avg_pool2d(x, 3, 2, padding=1))
    shortcuts = [model.get_submodule(name).shortcut for name in model.names]  # type: ignore[union-attr]
    assert shortcuts == [True, True, True, False, True, False]


def test_the_field_of_the_baseline_is_where_gradients_are():
    """Positive weights, no normalization; the others' features may see all of a clip."""
    layers = settings("dcase_baseline").layers(5)
    assert field(layers) == (Axis(71, 8, 0.0), Axis(79, 8, 0.0))
    model = build(settings("dcase_baseline")).double().eval()
    for module in model.modules():
        if isinstance(module, Convolution):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    x = torch.ones(1, 1, 160, 168, dtype=torch.float64, requires_grad=True)
    model(x).features_BCFN[0, :, 10, 10].sum().backward()
    assert x.grad is not None
    for dim in (0, 1):
        lit = x.grad[0, 0].any(dim=1 - dim).nonzero().squeeze()
        assert (lit.min().item(), lit.max().item()) == field(layers)[dim].interval(10, 160)
    for kind in ("cp_mobile", "tf_sepnet", "bc_resnet"):
        assert count(settings(kind).layers(5), (40, 51)).receptive_field is None


@pytest.mark.parametrize("kind", KINDS)
def test_damped_networks_have_the_base_networks_weights(kind: str):
    base, damped = build(settings(kind)), build(settings(kind, damping=0.9))
    for (name, a), b in zip(base.state_dict().items(), damped.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    layers = settings(kind).layers(5)
    for layer in layers:
        module = damped.get_submodule(layer.name)
        if layer.kernel[0] >= 3:
            assert isinstance(module, Convolution)
            assert module.factor is not None
            assert module.factor[0].item() == pytest.approx(0.1)
    x = torch.randn(2, 1, 40, 51)
    assert not torch.equal(base.eval()(x).logits_BY, damped.eval()(x).logits_BY)


# Whole trials


def of_kind(trial: Trial, kind: str, **more: object) -> Trial:
    return changed(
        trial,
        {
            "network.kind": kind,
            "network.width": SMALL[kind],
            "network.dropout": 0.1,
            "sound.features.mels": 40,
            "training.epochs": 2,
            "training.batch": 32,
            "training.optimizer": "sgd",
            "training.rate": 0.02,
            **more,
        },
    )


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_a_stack_are_those_alone(kind: str):
    """Base and damped side by side: answers, statistics and gradients in double precision."""
    models = [
        build(settings(kind, damping=each), seed).double() for seed, each in ((0, 0), (1, 0.9))
    ]
    for module in (each for model in models for each in model.modules()):
        if isinstance(module, ResponseNorm):
            nn.init.constant_(module.gamma, 0.5)
    held = [dict(model.named_buffers()) for model in models]
    stacked_held = {  # a layer that is not damped has no factor
        name: torch.stack(
            [each[name].clone() if name in each else torch.ones_like(other) for each in held]
        )
        for name, other in held[1].items()
    }
    own = [dict(model.named_parameters()) for model in models]
    parameters = {
        name: torch.stack([each[name].detach() for each in own]).requires_grad_() for name in own[0]
    }
    x = torch.randn(2, 6, 1, 40, 32, dtype=torch.float64)

    def call(parameters: Any, held: Any, x_BCFN: Tensor) -> Tensor:
        logits: Tensor = functional_call(models[1], (parameters, held), (x_BCFN,)).logits_BY
        return logits

    with grouped():
        logits_SBY = vmap(call)(parameters, stacked_held, x)
    logits_SBY.square().sum().backward()
    for index, model in enumerate(models):
        alone_BY = model(x[index]).logits_BY
        torch.testing.assert_close(logits_SBY[index], alone_BY, atol=1e-10, rtol=1e-10)
        alone_BY.square().sum().backward()
        for name, value in model.named_parameters():
            stacked_grad, grad = parameters[name].grad, value.grad
            assert stacked_grad is not None
            torch.testing.assert_close(stacked_grad[index], grad, atol=1e-8, rtol=1e-8, msg=name)
        for name, value in model.named_buffers():
            if "running" in name:
                torch.testing.assert_close(stacked_held[name][index], value, atol=1e-9, rtol=1e-9)


def test_a_stacked_trial_is_that_alone(trial: Trial, store: Store, here: machine.Machine):
    """Of TF-SepNet, with dropout and mixup, base, damped, and cut at random; a rate at which what
    one step rounds does not grow in the next.
    """
    slow = {"training.rate": 1e-6, "training.warmup": 0.0, "training.epochs": 1}
    plain = of_kind(trial, "tf_sepnet", **slow)
    half = price(plain, len(store.labels)).cost.weights // 2
    trials = [
        changed(plain, {"seed": 7, "network.damping": 0.9}),
        Trial.model_validate({**plain.stated(), "pruning": {"kind": "static", "target": half}}),
    ]
    sessions = {t.id: Session(t, Listener(t, store, here), here, None, None) for t in trials}
    (together,) = stacked.run(sessions)
    for each in trials:
        (alone,) = run(each, store, here)
        ours = together[each.id]
        assert isinstance(ours, Epoch)
        loss = alone.overall("train")["loss"]
        assert ours.overall("train")["loss"] == pytest.approx(loss, rel=1e-5)
        for name, value in alone.state["model"].items():
            torch.testing.assert_close(ours.state["model"][name], value, atol=1e-5, rtol=1e-4)
    assert sum(int(mask.sum()) for mask in alone.state["masks"].values()) == half


def pruned(trial: Trial, kind: str) -> Trial:
    return of_kind(
        trial,
        kind,
        **{
            "pruning.kind": "channels",
            "pruning.keep": 0.6,
            "pruning.start": 1,
            "network.width": 16,
            "training.epochs": 4,
        },
    )


@pytest.mark.parametrize("kind", ["cp_mobile", "dcase_baseline"])
def test_channels_are_cut_with_their_convolution(kind: str, trial: Trial):
    """Masked and compacted networks answer alike, counted exactly, after a few steps; CP-Mobile
    loses channels only within its blocks, as response normalization mixes those between them.
    """
    settled = pruned(trial, kind)
    network = classifier.network(settled, 5, torch_stream(0, "t"))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=1e-3)
    layers, rounds = sizes.network_layers(settled, 5), sizes.narrowings(settled, 5)
    pruner = ChannelPruner(settled.pruning, layers, rounds, network, optimizer)  # type: ignore[arg-type]
    x_BCFN = torch.randn(4, 1, *settled.sound.shape, generator=torch_stream(0, "x"))
    reseed(network, lambda name: torch_stream(0, name))
    for epoch in range(3):
        pruner.before(epoch)
        functional.cross_entropy(network(x_BCFN).logits_BY, torch.arange(4)).backward()
        optimizer.step()
        optimizer.zero_grad()
    small = compaction.compacted(network, network, layers).eval()
    masked_BY, compact_BY = network.eval()(x_BCFN).logits_BY, small(x_BCFN).logits_BY
    torch.testing.assert_close(compact_BY, masked_BY, atol=1e-5, rtol=1e-5)
    channels, cost = rounds[-1]
    assert compaction.channels(network, layers) == channels
    assert sum(each.numel() for each in small.parameters()) == cost.parameters
    assert pruner.kept == cost.weights
    assert cost.macs <= 0.6 * rounds[0].cost.macs
    within = {f"block{number}.expand" for number in range(1, 7)}
    between = {"stem2", "block4.project", "block6.project"} if kind == "dcase_baseline" else set()
    assert set(channels) == {"stem1"} | within | between
    for name in within:
        depthwise: Any = small.get_submodule(name.replace("expand", "depthwise"))
        assert depthwise.groups == depthwise.in_channels == channels[name]


@pytest.mark.parametrize(
    ("kind", "changes", "line"),
    [
        ("cp_mobile", {"network.width": 12}, "width=12: network.kind=cp_mobile .*of 8, as 16"),
        ("tf_sepnet", {"network.width": 2}, "width=2: network.kind=tf_sepnet .*of 4, as 4"),
        ("bc_resnet", {"network.width": 0}, "network.width=0: must be at least 1"),
        ("cp_mobile", {"network.expansion": 0.5}, "network.expansion=0.5: "),
        ("dcase_baseline", {"network.expansion": 2.0}, "dcase_baseline has no expansion, only cp_"),
        ("cp_mobile", {"network.bands": 2}, "cp_mobile has no bands, only bc_resnet"),
    ],
)
def test_settings_that_no_network_has(trial: Trial, kind: str, changes: Any, line: str):
    with pytest.raises(ValueError, match=line):
        of_kind(trial, kind, **changes)


@pytest.mark.parametrize(
    ("kind", "changes", "line"),
    [
        (
            "bc_resnet",
            {"sound.features.mels": 64},
            "64 mel bands x 32 .* 32 rows at block1.freq.*5",
        ),
        (
            "bc_resnet",
            {"sound.features.mels": 32, "network.bands": 1},
            "32 mel bands x 32 frames is too small .*nothing is left at head",
        ),
        ("tf_sepnet", {"sound.features.mels": 16}, "16 mel bands .*left at block7.widen"),
        (
            "tf_sepnet",
            {"pruning.kind": "channels", "pruning.keep": 0.5, "pruning.start": 1},
            "network.kind=tf_sepnet shuffles and halves its channels, of which none can be cut",
        ),
        (
            "bc_resnet",
            {"pruning.kind": "channels", "pruning.keep": 0.5, "pruning.start": 1},
            "network.kind=bc_resnet normalizes its channels by sub-bands",
        ),
    ],
)
def test_trials_that_no_network_can_have(trial: Trial, kind: str, changes: Any, line: str):
    with pytest.raises(ValueError, match=line):
        price(of_kind(trial, kind, **changes), 5)


def test_ends_of_the_widths():
    """The narrowest and a wide one of each, and no width that a pruning target would need."""
    for kind, narrowest in (("cp_mobile", 8), ("tf_sepnet", 4), ("bc_resnet", 1)):
        for width in (narrowest, 128):
            network = settings(kind, width)
            model = build(network).eval()
            logits: Tensor = model(torch.zeros(1, 1, 40, 33)).logits_BY
            assert logits.shape == (1, 5)
            counted = count(network.layers(5), (40, 33)).parameters
            assert sum(each.numel() for each in model.parameters()) == counted
    with pytest.raises(ValueError, match=r"width=9: .*multiples of 8, as 8"):
        settings("cp_mobile").model_copy(update={"width": 9}).layers(5)
