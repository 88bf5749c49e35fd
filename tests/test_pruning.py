"""Pruning: published caps and schedules to the weight, and plain twins for what is fast."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scaling.networks.cp_resnet import CPResNet
from scaling.pruning import Pruning
from scaling.pruning import masks as pruning
from scaling.pruning.magnitude import Magnitude
from scaling.seeds import stream

BASE = {1: 626_752, 0: 494_400}  # weights of W=64, D=1 by K: what wider networks are cut to

# K, W, size that masked layers are cut to, how many are cut: facts, cp_resnet, section 5.2
CAPS = [
    (1, 128, 47_440, 12),
    (1, 192, 44_416, 13),
    (1, 256, 43_580, 14),
    (1, 384, 42_986, 14),
    (1, 512, 42_391, 14),
    (0, 128, 48_832, 9),
    (0, 192, 44_890, 10),
    (0, 256, 43_899, 11),
    (0, 384, 43_375, 11),
    (0, 512, 42_851, 11),
]


def sizes(width: int, pointwise: int) -> dict[str, int]:
    network = CPResNet(width=width, depth=1, pointwise=pointwise)
    return {layer.name: layer.weights for layer in network.layers(10)}


def streams(seed: int, purpose: str = "mask"):
    return lambda name: stream(seed, purpose, name)


def dense(scores: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.ones(score.shape, dtype=torch.bool) for name, score in scores.items()}


def kept(masks: dict[str, torch.Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


# Static: how many of each layer


@pytest.mark.parametrize(("k", "width", "cap", "cut"), CAPS)
def test_published_caps(k, width, cap, cut):
    layers = sizes(width, k)
    counts = pruning.allocate(layers, BASE[k])
    assert sum(counts.values()) == BASE[k]
    masked = {name for name in layers if counts[name] < layers[name]}
    assert len(masked) == cut
    assert {counts[name] for name in masked - {"deep1.conv2"}} == {cap}
    assert cap - len(masked) < counts["deep1.conv2"] <= cap, "the largest gives what is left over"
    assert all(layers[name] <= cap for name in layers.keys() - masked)


def test_published_sparsities():
    layers = sizes(512, 1)
    counts = pruning.allocate(layers, BASE[1])
    sparsity = {name: round(100 * (1 - counts[name] / layers[name]), 2) for name in layers}
    assert sparsity["stem"] == sparsity["classifier"] == 0
    assert sparsity["deep1.conv2"] == 99.55
    assert sparsity["deep1.conv1"] == 99.10
    assert sparsity["pointwise1.conv2"] == 98.99
    assert sparsity["block1.conv1"] == sparsity["block4.conv2"] == 98.20
    assert sparsity["pointwise1.conv1"] == sparsity["pointwise1.shortcut"] == 97.98
    assert round(sparsity["deep1.shortcut"], 1) == 91.9
    assert round(sparsity["block1.conv2"], 1) == 83.8


def allocate_plainly(layers: dict[str, int], keep: int) -> dict[str, int]:
    """One weight at a time off whatever is largest, the last round off the largest at first."""
    counts = dict(layers)
    while (excess := sum(counts.values()) - keep) > 0:
        top = max(counts.values())
        largest = [name for name in counts if counts[name] == top]
        if len(largest) <= excess:
            for name in largest:
                counts[name] -= 1
            continue
        for name in sorted(counts, key=lambda name: (-layers[name], name)):
            while excess and counts[name] > 1:
                counts[name] -= 1
                excess -= 1
    return counts


@pytest.mark.parametrize("seed", range(5))
def test_allocation_is_that_of_one_weight_at_a_time(seed):
    random = np.random.default_rng(seed)
    layers = {f"layer{i}": int(n) for i, n in enumerate(random.integers(1, 40, 6))}
    for keep in range(len(layers), sum(layers.values()) + 1):
        counts = pruning.allocate(layers, keep)
        assert counts == allocate_plainly(layers, keep)
        assert sum(counts.values()) == keep
        assert all(1 <= counts[name] <= layers[name] for name in layers)


def test_impossible_targets_are_one_line():
    layers = {"a": 10, "b": 30}
    for function in (pruning.allocate, pruning.check):
        with pytest.raises(ValueError, match=r"^cannot keep 41 weights of 40: .*lower") as caught:
            function(layers, 41)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValueError, match=r"only 1 of 40 .*layer b .*empty.* at least 2$"):
            function(layers, 1)
    with pytest.raises(ValueError, match=r"only 7 of 40 .*pruning\.guard=0\.8 .* at least 8$"):
        pruning.check(layers, 7, guard=0.8)
    for keep in (8, 40):
        pruning.check(layers, keep, guard=0.8)
    pruning.check(sizes(512, 1), BASE[1], guard=0.99)


# Static: which


def test_static_masks_meet_the_target_and_their_shapes():
    network = CPResNet(width=128, depth=1, pointwise=1)
    shapes = {
        layer.name: (layer.outputs, layer.inputs, *layer.kernel) for layer in network.layers(10)
    }
    masks = pruning.static(shapes, BASE[1], streams(0))
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == shapes
    assert kept(masks) == pruning.allocate(sizes(128, 1), BASE[1])
    assert {mask.dtype for mask in masks.values()} == {torch.bool}


def test_static_masks_depend_on_seed_and_layer_alone():
    shapes = {"a": (8, 4, 3, 3), "b": (8, 4, 3, 3), "c": (4,)}
    first, again = (pruning.static(shapes, 104, streams(1)) for _ in range(2))
    turned = pruning.static(dict(reversed(shapes.items())), 104, streams(1))
    other = pruning.static(shapes, 104, streams(2))
    for name in shapes:
        assert torch.equal(first[name], again[name])
        assert torch.equal(first[name], turned[name])
    assert not torch.equal(first["a"], other["a"])
    assert not torch.equal(first["a"], first["b"]), "each layer has its own stream"


def test_static_masks_are_uniform():
    """Over 2000 seeds each of 20 places is kept 500 times, and each pair 100, give or take."""
    drawn = torch.stack(
        [pruning.static({"a": (4, 5)}, 5, streams(seed))["a"].reshape(-1) for seed in range(2000)]
    ).double()
    together = drawn.T @ drawn
    of_one, of_two = 2000 * 5 / 20, 2000 * (5 * 4) / (20 * 19)
    off = ~torch.eye(20, dtype=torch.bool)
    assert (together.diagonal() - of_one).abs().max() < 5 * math.sqrt(of_one * 0.75)
    assert (together[off] - of_two).abs().max() < 5 * math.sqrt(of_two)


# What is left is initialized


@pytest.fixture(scope="module")
def drawn() -> SimpleNamespace:
    """He-initialized layers, one of them zero, one too small to be masked."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"wide": (128, 64, 3, 3), "zero": (64, 64, 3, 3), "small": (8, 4, 1, 1)}
    weights = {
        name: torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        for name, shape in shapes.items()
    }
    weights["zero"].zero_()
    masks = pruning.static(shapes, 20_032, streams(0))
    return SimpleNamespace(weights=weights, masks=masks)


@pytest.mark.parametrize("how", ["keep", "rescale", "uniform"])
def test_initialization_leaves_masked_weights_at_zero(drawn, how):
    before = {name: weight.clone() for name, weight in drawn.weights.items()}
    new, again = (
        pruning.initialize(how, drawn.weights, drawn.masks, streams(0, "values")) for _ in range(2)
    )
    for name, weight in new.items():
        cut = weight[~drawn.masks[name]]
        assert torch.equal(cut.view(torch.int32), torch.zeros_like(cut, dtype=torch.int32))
        assert torch.equal(weight, again[name])
        assert torch.equal(before[name], drawn.weights[name]), "what is passed in stays as it is"
    assert torch.equal(new["small"], drawn.weights["small"]), "only masked layers change"
    assert bool((new["zero"] == 0).all()) == (how != "uniform")


def test_keep_keeps_what_was_drawn(drawn):
    new = pruning.initialize("keep", drawn.weights, drawn.masks, streams(0))
    for name, mask in drawn.masks.items():
        assert torch.equal(new[name][mask], drawn.weights[name][mask])


def test_rescaling_keeps_the_variance_of_a_units_input(drawn):
    new = pruning.initialize("rescale", drawn.weights, drawn.masks, streams(0))
    assert float(new["wide"].square().mean()) * 64 * 9 == pytest.approx(2, rel=0.05)  # He
    mask = drawn.masks["wide"]
    share = float(mask.float().mean())
    torch.testing.assert_close(new["wide"][mask], drawn.weights["wide"][mask] / math.sqrt(share))


def test_uniform_has_the_reference_bound_and_variance(drawn):
    weights = {n: w.contiguous(memory_format=torch.channels_last) for n, w in drawn.weights.items()}
    new = pruning.initialize("uniform", weights, drawn.masks, streams(0, "values"))
    same = pruning.initialize("uniform", drawn.weights, drawn.masks, streams(0, "values"))
    for name, fan_in in (("wide", 64 * 9), ("zero", 64 * 9)):
        mask = drawn.masks[name]
        bound = 1 / math.sqrt(fan_in * float(mask.double().mean()))
        values = new[name][mask]
        assert 0.99 * bound < float(values.abs().max()) <= bound * (1 + 1e-6)
        assert float(values.var()) == pytest.approx(bound**2 / 3, rel=0.05)
        assert abs(float(values.mean())) < 0.03 * bound
        assert torch.equal(new[name], same[name]), "memory formats hold the same weights"
    assert not torch.equal(new["wide"][drawn.masks["wide"]], weights["wide"][drawn.masks["wide"]])


# Schedules


def schedule(kind: str, **others: float) -> Pruning:
    return Magnitude(target=1, schedule=kind, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "rho"), [(128, 0.97272), (512, 0.92030)])
def test_geometric_cuts_equal_shares_of_what_is_left(width, rho):
    total = sum(sizes(width, 1).values())
    left = [schedule("geometric").remaining(total, BASE[1], e) for e in range(51)]
    assert left[0] == total
    for epoch in range(50):
        assert left[epoch + 1] / left[epoch] == pytest.approx(rho, abs=1e-5)


def test_ramp_is_the_authors():
    dense, target = 39_879_168, 626_752
    published = {
        0: 0.368,
        1: 0.390,
        5: 0.482,
        10: 0.599,
        20: 0.806,
        25: 0.8825,
        30: 0.938,
        40: 0.992,
    }
    for epoch, share in (published | {50: 1.0, 77: 1.0}).items():
        left = schedule("ramp").remaining(dense, target, epoch)
        assert (dense - left) / (dense - target) == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize("rate", [0.01, 5.0, 100.0])
def test_saturating_cuts_shrink_by_a_constant_factor(rate):
    dense, target = 10**12, 10**9  # so many that rounding to whole weights does not show
    settings = schedule("saturating", rate=rate, length=10)
    left = [settings.remaining(dense, target, epoch) for epoch in range(11)]
    assert left[0] == dense
    cuts = -np.diff(left)
    seen = cuts[:-1] > 1e6
    assert cuts[1:][seen] / cuts[:-1][seen] == pytest.approx(math.exp(-rate / 10), rel=1e-4)
    share = (1 - math.exp(-rate * 0.4)) / (1 - math.exp(-rate))
    assert left[4] == pytest.approx(dense - (dense - target) * share, rel=1e-9)


@pytest.mark.parametrize("kind", ["geometric", "saturating", "ramp"])
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("length", [1, 3, 50])
def test_schedules_end_at_the_target_and_never_rise(kind, start, length):
    for dense, target in ((39_879_168, 626_752), (1000, 999), (50, 50), (7, 1)):
        settings = schedule(kind, start=start, length=length)
        left = [settings.remaining(dense, target, epoch) for epoch in range(70)]
        assert set(left[:start]) <= {dense}
        assert set(left[start + length :]) == {target}
        assert all(later <= earlier for earlier, later in itertools.pairwise(left))
        if dense == 39_879_168:
            assert (left[start] == dense) == (kind != "ramp")
            assert target < left[start + length - 1], (
                "the target is reached after length, no sooner"
            )


# Magnitude


def cut_plainly(scores, masks, keep, guard):
    """One weight after the other down the sorted list, where its layer can still give one."""
    found = {name: mask.clone() for name, mask in masks.items()}
    listed = sorted(
        (value, layer, place)
        for layer, name in enumerate(scores)
        for place, value in enumerate(scores[name].flatten().tolist())
        if masks[name].flatten()[place]
    )
    names = list(scores)
    for _, layer, place in listed:
        mask = found[names[layer]]
        if sum(kept(found).values()) == keep:
            break
        cut = mask.numel() - int(mask.sum())
        if mask.sum() > 1 and (cut + 1) <= guard * mask.numel() + 1e-9:
            mask[tuple(np.unravel_index(place, mask.shape))] = False
    return found


@pytest.mark.parametrize("seed", range(12))
def test_magnitude_is_that_of_a_sorted_list(seed):
    """Few distinct scores, so most weights tie; twice, so that the second starts from masks."""
    random = np.random.default_rng(seed)
    shapes = {"a": (4, 3, 3, 3), "b": (2, 8, 1, 1), "c": (5, 7), "d": (1,), "e": (30, 2)}
    scores = {
        name: torch.from_numpy(random.integers(0, 5, shape) * random.choice([1.0, -0.0], shape))
        for name, shape in shapes.items()
    }
    guard = float(random.choice([0.5, 0.9, 0.99, 1.0]))
    fewest = sum(max(1, math.ceil((1 - guard) * math.prod(s) - 1e-9)) for s in shapes.values())
    total = sum(math.prod(shape) for shape in shapes.values())
    masks = dense(scores)
    for keep in sorted(random.integers(fewest, total + 1, 2), reverse=True):
        expected = cut_plainly(scores, masks, int(keep), guard)
        found = pruning.magnitude(scores, masks, int(keep), guard)
        assert all(torch.equal(found[name], expected[name]) for name in shapes)
        assert sum(kept(found).values()) == keep
        masks = found


def test_distinct_scores_without_a_guard_are_cut_at_a_threshold():
    generator = torch.Generator().manual_seed(0)
    scores = {name: torch.rand(size, generator=generator) for name, size in sizes(8, 1).items()}
    masks = pruning.magnitude(scores, dense(scores), 4000, guard=1.0)
    stay = torch.cat([scores[name][masks[name]] for name in scores])
    go = torch.cat([scores[name][~masks[name]] for name in scores])
    assert len(stay) == 4000
    assert go.max() < stay.min()


@pytest.mark.parametrize("kind", ["geometric", "saturating", "ramp"])
def test_masks_only_shrink_over_a_schedule(kind):
    """At W=512's density and guard, with weights that move between cuts."""
    layers = sizes(16, 1)
    total = sum(layers.values())
    target = round(total * BASE[1] / 39_879_168)
    generator = torch.Generator().manual_seed(1)
    settings = schedule(kind, start=2, length=8)
    masks = {name: torch.ones(size, dtype=torch.bool) for name, size in layers.items()}
    pruning.check(layers, target, 0.99)
    for epoch in range(12):
        keep = settings.remaining(total, target, epoch)
        scores = {
            name: (torch.randn(size, generator=generator) * size**-0.5).abs()
            for name, size in layers.items()
        }
        new = pruning.magnitude(scores, masks, keep, 0.99)
        assert sum(kept(new).values()) == keep
        assert all((new[name] <= masks[name]).all() for name in layers)
        assert all(100 * count >= layers[name] for name, count in kept(new).items())
        masks = new
    assert sum(kept(masks).values()) == target


def test_the_guard_prevents_layer_collapse():
    """A fresh fixup network: second convolutions and classifier are zero, so all are cut first."""
    network = CPResNet(width=16, depth=1, pointwise=1)
    model = network.build(10, torch.Generator().manual_seed(0))
    scores = {n: p.detach().abs() for n, p in model.named_parameters() if p.ndim == 4}
    total = sum(score.numel() for score in scores.values())
    zero = [name for name, score in scores.items() if not score.any()]
    assert len(zero) == 7
    bare = kept(pruning.magnitude(scores, dense(scores), total // 4, guard=1.0))
    assert {bare[name] for name in zero} == {1}, "even without a guard no layer is emptied"
    guarded = kept(pruning.magnitude(scores, dense(scores), total // 4, guard=0.9))
    for name in zero:
        assert guarded[name] == -(-scores[name].numel() // 10)
    given = sum(guarded[name] - bare[name] for name in zero)
    taken = sum(bare[name] - guarded[name] for name in scores if name not in zero)
    assert given == taken > 0, "the others give exactly what the guarded keep"


def test_guard_is_the_decimal_that_was_written():
    """In floating point (1 - 0.99) x 100 is above 1, and a second weight would be protected."""
    scores = {"a": torch.zeros(100), "b": torch.ones(100)}
    assert kept(pruning.magnitude(scores, dense(scores), 101, 0.99)) == {"a": 1, "b": 100}


def test_a_layer_at_its_limit_is_left_alone():
    scores = {"thin": torch.arange(100.0), "full": torch.arange(100.0) + 1000}
    masks = dense(scores)
    masks["thin"][3:] = False  # fewer than a guard of 0.9 would leave
    found = pruning.magnitude(scores, masks, 13, 0.9)
    assert torch.equal(found["thin"], masks["thin"])
    assert found["full"].nonzero().flatten().tolist() == list(range(90, 100))
    with pytest.raises(ValueError, match=r"only 12 of 103 .*guard=0\.9 .* at least 13$"):
        pruning.magnitude(scores, masks, 12, 0.9)


def test_memory_format_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    scores = {"a": torch.randint(0, 3, (6, 5, 3, 3), generator=generator).float()}
    masks = {"a": torch.rand(6, 5, 3, 3, generator=generator) < 0.8}
    plain = pruning.magnitude(scores, masks, 50, 0.99)["a"]
    last = {n: score.contiguous(memory_format=torch.channels_last) for n, score in scores.items()}
    turned = {n: mask.contiguous(memory_format=torch.channels_last) for n, mask in masks.items()}
    for first, second in ((last, masks), (scores, turned), (last, turned)):
        found = pruning.magnitude(first, second, 50, 0.99)["a"]
        assert found.shape == (6, 5, 3, 3)
        assert torch.equal(found, plain)


def test_masks_and_scores_passed_in_stay_as_they_are():
    scores = {"a": torch.arange(10.0)}
    masks = {"a": torch.arange(10) != 4}
    found = pruning.magnitude(scores, masks, 9, 1.0)
    found["a"].zero_()
    assert torch.equal(masks["a"], torch.arange(10) != 4)
    assert torch.equal(scores["a"], torch.arange(10.0))


def test_scores_that_are_no_numbers_stay():
    """A diverged network is for its loss to report; counts stay exact."""
    scores = {"a": torch.tensor([math.nan, 1.0, math.inf, 0.0, math.nan])}
    for keep in range(1, 6):
        assert kept(pruning.magnitude(scores, dense(scores), keep, 1.0)) == {"a": keep}
    found = pruning.magnitude(scores, dense(scores), 3, 1.0)["a"]
    assert found.tolist() == [True, False, True, False, True]


def test_impossible_counts_are_one_line():
    scores = {"a": torch.ones(100), "b": torch.ones(50)}
    masks = dense(scores)
    with pytest.raises(ValueError, match=r"^cannot keep 151 weights of 150: .*lower") as caught:
        pruning.magnitude(scores, masks, 151, 0.99)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"only 14 of 150 .*guard=0\.9 .* at least 15$"):
        pruning.magnitude(scores, masks, 14, 0.9)
    with pytest.raises(ValueError, match=r"only 1 of 150 .*layer a .*empty.* at least 2$"):
        pruning.magnitude(scores, masks, 1, 1.0)
