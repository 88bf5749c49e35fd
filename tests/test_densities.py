"""Layer densities: counts of toys worked by hand, the published formula, masks of real networks."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from scaling import machine
from scaling.networks import NETWORKS
from scaling.networks.modules.kernels import Convolution
from scaling.pruning import densities
from scaling.pruning.magnitude import Magnitude
from scaling.pruning.pruner import Pruner
from scaling.pruning.static import Static
from scaling.results.manifest import price
from scaling.seeds import stream, torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training.methods import run

# relative densities: er 1, 12/32, 6/8; erk 1, 12/32, (4 + 2 + 6) / 72
TOY = {"a": torch.zeros(2, 2), "b": torch.zeros(4, 8), "c": torch.zeros(4, 2, 3, 3)}
ALL = ("largest", "uniform", "er", "erk", "magnitude")


@pytest.mark.parametrize(
    ("density", "keep", "left"),
    [
        ("uniform", 54, (2, 16, 36)),  # half of each
        ("uniform", 55, (2, 16, 37)),  # 2.04, 16.3, 36.67: the largest remainder
        ("erk", 18, (2, 8, 8)),  # 4f + 12f + 12f = 18: 2.57, 7.71, 7.71
        ("erk", 35, (4, 16, 15)),  # f = 1.25: a is dense, 24f = 31; of equals the first by name
        ("erk", 4, (1, 2, 1)),  # f = 1/7: a keeps one, 24f = 3
        ("erk", 3, (1, 1, 1)),
        ("erk", 108, (4, 32, 72)),
        ("er", 35, (2, 6, 27)),  # 4f + 12f + 54f = 35: f = .5
        ("er", 70, (4, 12, 54)),  # f = 1: a is just dense
        ("er", 103, (4, 27, 72)),  # a, then c dense: the rest is b's
        ("largest", 18, (4, 7, 7)),
    ],
)
def test_counts_by_hand(density, keep, left):
    found = densities.counts(density, TOY, {}, keep)
    assert tuple(found.values()) == left
    turned = densities.counts(density, dict(reversed(TOY.items())), {}, keep)
    assert turned == found, "whatever the order of the layers"


def test_a_group_of_a_convolution_is_a_layer_of_its_own():
    """Depthwise: one input and one output a group, (1 + 1 + 3 + 3) / 9; two groups: 2 and 4."""
    weights = {"depthwise": torch.zeros(4, 1, 3, 3), "grouped": torch.zeros(8, 2, 3, 3)}
    groups = {"depthwise": 4, "grouped": 2}
    # 36 x 8/9 f + 144 x (2 + 4 + 6) / 72 f = 56f
    assert densities.counts("erk", weights, groups, 28) == {"depthwise": 16, "grouped": 12}
    # er: 2 / 1 and 6 / 8: 72f + 108f
    assert densities.counts("er", weights, groups, 45) == {"depthwise": 18, "grouped": 27}
    convolution = nn.Conv2d(4, 4, 3, groups=4)
    assert convolution.weight.shape == weights["depthwise"].shape


def test_depthwise_convolutions_stay_dense_under_erk():
    """Of CP-Mobile at a fifth of its weights; by magnitude its counts are as exact."""
    network = NETWORKS["cp_mobile"](width=32).build(10, torch_stream(0, "t"))
    optimizer, target = torch.optim.Adam(network.parameters()), 24_552
    pruner = Pruner(Static(target=target, density="erk"), 3, network, optimizer, target)
    assert pruner.kept == target
    grouped = {name: each.groups for name, each in pruner.layers.items() if each.groups > 1}
    assert grouped
    for name in grouped:
        assert pruner.masks[name].all()
    settings = Magnitude(target=target, start=0, length=1, schedule="cubic")
    pruner = Pruner(settings, 3, network, optimizer, target)
    pruner.before(1)
    assert pruner.kept == target


def solved_again(relative, sizes, keep):
    """As published: layers above 1 become dense, until none is."""
    dense: set[str] = set()
    while True:
        rest = keep - sum(sizes[name] for name in dense)
        factor = rest / sum(relative[name] * sizes[name] for name in sizes if name not in dense)
        above = {n for n in sizes if n not in dense and factor * relative[n] > 1}
        if not above:
            return {n: sizes[n] if n in dense else factor * relative[n] * sizes[n] for n in sizes}
        dense |= above


def test_quotas_are_those_of_a_factor_solved_again():
    draw = np.random.default_rng(0)
    for _ in range(40):
        count = int(draw.integers(2, 9))
        shapes = draw.integers(2, 30, (count, 2)).tolist()
        layers = {f"l{i}": math.prod(shape) for i, shape in enumerate(shapes)}
        relative = {f"l{i}": Fraction(a + b, a * b) for i, (a, b) in enumerate(shapes)}
        keep = int(draw.integers(sum(layers.values()) // 4 + count, sum(layers.values()) + 1))
        expected = solved_again(relative, layers, keep)
        if min(expected.values()) < 1:
            continue
        found = densities.quotas(relative, layers, keep)
        assert found == expected
        assert sum(found.values()) == keep


def test_magnitude_counts_the_largest_of_all_layers():
    weights = {
        "a": torch.tensor([[-9.0, 1.0], [2.0, 3.0]]),
        "b": torch.tensor([[8.0, -7.0, 0.5, 6.0]]),
        "c": torch.tensor([[0.1, 0.2]]),
    }
    assert densities.counts("magnitude", weights, {}, 5) == {"a": 1, "b": 3, "c": 1}
    assert densities.counts("magnitude", weights, {}, 6) == {"a": 2, "b": 3, "c": 1}


@pytest.mark.parametrize("density", ALL)
def test_real_networks_keep_their_target_to_the_weight(trial: Trial, density: str):
    pruned = changed(
        trial,
        {
            "network.width": 8,
            "network.initialization": "he",
            "pruning.kind": "static",
            "pruning.target_width": 2,
            "pruning.density": density,
        },
    )
    target = sizes.kept_weights(pruned, 10)
    assert price(pruned, 10).kept_weights == target
    network = pruned.network.build(10, torch_stream(0, "t"))
    expected = densities.counts(
        density,
        {n: m.weight for n, m in network.named_modules() if isinstance(m, Convolution)},
        {},
        target,
    )
    pruner = Pruner(pruned.pruning, 3, network, torch.optim.Adam(network.parameters()), target)
    assert pruner.kept == target
    assert {name: int(mask.sum()) for name, mask in pruner.masks.items()} == expected
    assert ("collapsed_layers" in pruner.counts()) == (density != "largest")
    assert pruner.counts().get("collapsed_layers", 0) == 0
    share = target / pruner.dense
    if density == "erk":
        stem, deep = pruner.masks["stem"], pruner.masks["block4.conv1"]
        assert stem.float().mean() > 2 * deep.float().mean() > 0
    if density == "uniform":
        for mask in pruner.masks.values():
            assert abs(int(mask.sum()) - share * mask.numel()) < 1


def test_a_mask_depends_on_its_layer_and_its_count_alone():
    """Two densities that keep as many weights of a layer draw the same ones."""

    def masks(density: str, keep: int) -> dict[str, torch.Tensor]:
        return densities.masks(density, TOY, {}, keep, lambda name: stream(1, "mask", name))

    one, other = masks("erk", 35), masks("erk", 36)
    assert [int(mask.sum()) for mask in (*one.values(), *other.values())] == [4, 16, 15, 4, 16, 16]
    assert torch.equal(one["b"], other["b"])


def test_a_collapse_is_counted_and_training_goes_through(trial: Trial, store: Store):
    """With as many weights as layers, all layers are down to one."""
    least = sum(1 for _ in trial.network.layers(10))
    changes = {"pruning.kind": "static", "pruning.target": least, "pruning.density": "erk"}
    (last,) = run(
        changed(trial, {**changes, "training.epochs": 1, "training.warmup": 0}),
        store,
        machine.here("cpu", "float32", 1),
    )
    values = last.overall("train")
    assert values["kept_weights"] == values["collapsed_layers"] == least


def test_what_cannot_be_is_one_line(trial: Trial):
    assert Static(target=9).model_dump(exclude_defaults=True).keys() == {"kind", "target"}
    cut = {"pruning.kind": "static", "pruning.target": 900}
    magnitude = {**cut, "pruning.density": "magnitude"}
    with pytest.raises(ValueError, match=r"^pruning\.density=magnitude .*initialization=he$"):
        changed(trial, {**magnitude, "network.initialization": "fixup"})
    with pytest.raises(ValueError, match=r"^pruning\.density='erl': .*'erk'"):
        changed(trial, {**cut, "pruning.density": "erl"})
    few = changed(trial, {**cut, "pruning.target": 5, "pruning.density": "uniform"})
    with pytest.raises(ValueError, match=r"^cannot keep only 5 of .* at least \d+$"):
        price(few, 10)
