"""CP-ResNet against the published table, its public ancestor's counts, and plain twins."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scaling.networks import Network
from scaling.networks.cost import Axis, count, field
from scaling.networks.cp_resnet import CPResNet as Settings
from scaling.networks.modules.cp_resnet import CPResNetModule
from scaling.networks.modules.stochastic import reseed

INPUT = (256, 431)  # 10 s at 22,050 Hz

# W, D, K, parameters, weights, GMACs, receptive field: derived from the network's definition,
# checked against the reference classes of the authors' public code
TABLE = [
    (32, 1, 1, 159_476, 157_728, 0.522, 167),
    (64, 1, 1, 630_228, 626_752, 2.043, 167),
    (128, 1, 1, 2_505_620, 2_498_688, 8.082, 167),
    (192, 1, 1, 5_626_196, 5_615_808, 18.118, 167),
    (256, 1, 1, 9_991_956, 9_978_112, 32.151, 167),
    (384, 1, 1, 22_459_028, 22_438_272, 72.205, 167),
    (512, 1, 1, 39_906_836, 39_879_168, 128.246, 167),
    (128, 2, 1, 3_686_292, 3_678_336, 8.542, 231),
    (128, 3, 1, 4_866_964, 4_857_984, 9.003, 295),
    (128, 4, 1, 6_047_636, 6_037_632, 9.463, 359),
    (128, 5, 1, 7_228_308, 7_217_280, 9.923, 423),
    (128, 1, 0, 1_975_700, 1_971_840, 7.877, 167),
    (128, 1, 2, 3_031_956, 3_022_976, 8.287, 167),
    (128, 1, 3, 3_558_292, 3_547_264, 8.491, 167),
    (128, 1, 4, 4_084_628, 4_071_552, 8.696, 167),
    (128, 1, 5, 4_610_964, 4_595_840, 8.900, 167),
    (128, 2, 0, 3_156_372, 3_151_488, 8.337, 231),
    (128, 3, 0, 4_337_044, 4_331_136, 8.797, 295),
    (128, 4, 0, 5_517_716, 5_510_784, 9.257, 359),
    (128, 5, 0, 6_698_388, 6_690_432, 9.717, 423),
    (32, 1, 0, 125_300, 124_320, None, 167),
    (64, 1, 0, 496_340, 494_400, None, 167),
    (192, 1, 0, 4_438_100, 4_432_320, None, 167),
    (256, 1, 0, 7_883_540, 7_875_840, None, 167),
    (384, 1, 0, 17_723_540, 17_712_000, None, 167),
    (512, 1, 0, 31_495_700, 31_480_320, None, 167),
]


def settings(width: int, depth: int, pointwise: int, **others: object) -> Network:
    return Settings(width=width, depth=depth, pointwise=pointwise, **others)  # type: ignore[arg-type]


def build(network: Network, seed: int = 0, classes: int = 10) -> CPResNetModule:
    model = network.build(classes, torch.Generator().manual_seed(seed))
    assert isinstance(model, CPResNetModule)
    return model


@pytest.mark.parametrize(("w", "d", "k", "parameters", "weights", "gmacs", "side"), TABLE)
def test_published_costs(w, d, k, parameters, weights, gmacs, side):
    cost = count(settings(w, d, k).layers(10), INPUT)
    assert cost.parameters == parameters
    assert cost.weights == weights
    assert cost.receptive_field == side == 103 + 64 * d
    if gmacs is not None:
        assert round(cost.macs / 1e9, 3) == gmacs
    closed = 273_050 + 121_338 + 59_148 + 21_840 + 28_080 * (d - 1) + 12_480 * k
    assert cost.macs == w * w * closed + w * (682_625 + (15_600 if k else 7_800))


def test_parts_sum_to_the_whole():
    cost = count(settings(48, 2, 3).layers(7), INPUT)
    assert sum(part.parameters for part in cost.parts) == cost.parameters
    assert sum(part.weights for part in cost.parts) == cost.weights
    assert sum(part.macs for part in cost.parts) == cost.macs


@pytest.mark.parametrize(("w", "d", "k"), [(4, 0, 0), (4, 0, 2), (4, 1, 0), (6, 1, 1), (4, 3, 2)])
def test_costs_are_those_of_the_built_network(w, d, k):
    """Plain twin: torch's own counters on the module that is trained."""
    network = settings(w, d, k)
    model = build(network)
    cost = count(network.layers(10), (64, 90))
    assert sum(p.numel() for p in model.parameters()) == cost.parameters
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    assert sum(m.weight.numel() for m in convolutions.values()) == cost.weights
    assert set(convolutions) == {p.name for p in cost.parts}
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.randn(1, 1, 64, 90))
    assert counter.get_total_flops() == 2 * cost.macs


def test_maps_of_the_paper():
    maps = {p.name: p.map for p in count(settings(8, 1, 1).layers(10), INPUT).parts}
    assert maps["stem"] == (127, 215)
    assert maps["block1.conv2"] == (63, 107)
    assert maps["block2.conv2"] == (31, 53)
    assert maps["block4.conv2"] == maps["pointwise1.conv2"] == maps["classifier"] == (15, 26)
    output = build(settings(8, 1, 1))(torch.randn(2, 1, *INPUT))
    assert output.logits_BY.shape == (2, 10)
    assert output.features_BCFN.shape == (2, 32, 15, 26)


BOXES = [
    (1, (37, 203), (133, 299)),
    (2, (5, 235), (101, 331)),
    (3, (0, 255), (69, 363)),
    (4, (0, 255), (37, 395)),
    (5, (0, 255), (5, 427)),
]


@pytest.mark.parametrize(("depth", "rows", "columns"), BOXES)
def test_published_fields(depth, rows, columns):
    seen = field(settings(8, depth, 1).layers(10))
    assert seen.rows == seen.columns == Axis(side=103 + 64 * depth, step=16, start=8.0)
    assert seen.rows.interval(7, 256) == rows
    assert seen.columns.interval(13, 431) == columns


@pytest.mark.parametrize("depth", [1, 2])
def test_field_is_where_gradients_are(depth):
    """Empirical twin: positive weights, no normalization, averages for maxima; zero outside means
    zero.
    """
    model = build(settings(2, depth, 1))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    average = {"max_pool2d": nn.functional.avg_pool2d}
    x = torch.ones(1, 1, *INPUT, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                parent = model.get_submodule(name.rpartition(".")[0])
                setattr(parent, name.rpartition(".")[2], nn.Identity())
        patch.setattr(
            "scaling.networks.modules.cp_resnet.functional.max_pool2d", average["max_pool2d"]
        )
        model(x).features_BCFN[0, :, 7, 13].sum().backward()
    assert x.grad is not None
    lit = x.grad[0, 0] != 0
    rows, columns = lit.any(1).nonzero().squeeze(), lit.any(0).nonzero().squeeze()
    _, expected_rows, expected_columns = BOXES[depth - 1]
    assert (rows.min().item(), rows.max().item()) == expected_rows
    assert (columns.min().item(), columns.max().item()) == expected_columns


def test_initialization_counts_and_deviations():
    model = build(settings(128, 1, 1))
    convolutions = {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    expected = {
        "stem": math.sqrt(2 / 25),
        "block2.conv1": 6**-0.5 * math.sqrt(2 / (9 * 128)),
        "deep1.conv1": 6**-0.5 * math.sqrt(2 / (9 * 256)),
        "deep1.shortcut": math.sqrt(2 / 256),
        "pointwise1.conv1": 6**-0.5 * math.sqrt(2 / 512),
        "pointwise1.shortcut": math.sqrt(2 / 512),
    }
    for name, deviation in expected.items():
        assert convolutions[name].std().item() == pytest.approx(deviation, rel=0.05), name
    for name, weight in convolutions.items():
        if name.endswith("conv2") or name == "classifier":
            assert (weight == 0).all(), name
    nonzero = sum(int((p != 0).sum()) for p in build(settings(32, 1, 1)).parameters())
    assert nonzero == 75_402


def test_he_initialization():
    model = build(settings(64, 1, 1, initialization="he"))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5000:
            fan = module.in_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.05), name


def test_second_network_of_a_process_starts_like_the_first():
    first, second = build(settings(8, 2, 2)), build(settings(8, 2, 2))
    other = build(settings(8, 2, 2), seed=1)
    for (name, a), b, c in zip(
        first.named_parameters(), second.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        if a.std() > 0 and "norm" not in name:
            assert not torch.equal(a, c), name


def test_damped_network_has_the_base_networks_weights():
    base, damped = build(settings(8, 1, 1)), build(settings(8, 1, 1, damping=0.99))
    assert base.state_dict().keys() == damped.state_dict().keys()
    for name, weight in base.state_dict().items():
        assert torch.equal(weight, damped.state_dict()[name]), name
    x = torch.randn(2, 1, 64, 64)
    assert not torch.equal(base(x).features_BCFN, damped(x).features_BCFN)


def test_dropout_lies_behind_every_block():
    model = build(settings(4, 1, 1, dropout=0.5, initialization="he"))
    reseed(model, lambda name: torch.Generator().manual_seed(len(name)))
    shares = {}
    for name, block in zip(model.names, model.blocks, strict=True):
        block.register_forward_hook(
            lambda _, __, y, name=name: shares.update({name: (y == 0).all(dim=(2, 3))})
        )
    model(torch.randn(16, 1, 64, 64))
    assert len(shares) == 6
    for name, silent_BC in shares.items():
        assert 0.2 < silent_BC.float().mean() < 0.8, name


def test_too_small_an_input_is_named():
    with pytest.raises(
        ValueError, match=r"^an input of 16 mel bands x 100 frames is too small.*block4"
    ):
        count(settings(4, 1, 1).layers(10), (16, 100))
