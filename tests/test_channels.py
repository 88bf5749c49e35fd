"""Channel pruning: what is cut together, budgets met, exact masks; compaction; whole trials."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from test_model import ended
from torch import Tensor, nn
from torch.nn import functional

from analysis import reading
from scaling import machine
from scaling.networks.cost import Layer, count
from scaling.networks.groups import groups, narrowed, sources
from scaling.networks.modules.chain import ChainModule
from scaling.networks.modules.stochastic import reseed
from scaling.networks.plan import ChainStyle
from scaling.pruning import compaction
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.pruning.channels import Channels, fitted, ranked
from scaling.results.manifest import price
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import classifier
from scaling.training.methods import run

ONCE = {"pruning.kind": "channels", "pruning.keep": 0.5, "pruning.start": 1}
TWICE = {**ONCE, "pruning.rounds": 2, "training.epochs": 4}
TOY = [
    Layer("conv1", 1, 4, (3, 3), padding=(1, 1)),
    Layer("conv2", 4, 2, (3, 3), padding=(1, 1)),
    Layer("dense", 2, 3, bias=True, norm=False, reads="mean"),
]
SIZE = (4, 4)
HALF = Channels(keep=0.5, start=1)


def toy_price(channels: dict[str, int]) -> int:
    return count(narrowed(TOY, channels), SIZE).macs


def pruner_of(
    settings: Channels,
    layers: list[Layer],
    network: nn.Module,
    channels: dict[str, int],
    optimizer: torch.optim.Optimizer | None = None,
) -> ChannelPruner:
    rounds = [(each, count(narrowed(layers, each), SIZE)) for each in ({}, channels)]
    rounds[0] = ({each.name: each.channels for each in groups(layers)}, rounds[0][1])
    return ChannelPruner(
        settings,
        layers,
        rounds,
        network,
        optimizer or torch.optim.Adam(network.parameters()),
        costs=lambda channels: count(narrowed(layers, channels), SIZE),
    )


def test_a_toy_network_by_hand():
    """4 and 2 channels, of which 3 and 1 fit into half of the multiply-adds, to one."""
    assert toy_price({}) == 16 * 36 + 16 * 72 + 6 == 1734
    channels = fitted(groups(TOY), toy_price, 867, HALF)
    assert channels == {"conv1": 3, "conv2": 1}
    assert toy_price(channels) == 16 * 27 + 16 * 27 + 3 == 867
    assert fitted(groups(TOY), toy_price, 866, HALF) == {"conv1": 2, "conv2": 1}
    assert fitted(groups(TOY), toy_price, 1734, HALF) == {"conv1": 4, "conv2": 2}
    assert fitted(groups(TOY), toy_price, 290, HALF) is None  # 16 x 9 + 16 x 9 + 3 = 291

    network = ChainModule(TOY, ChainStyle(), 0.0, 0.0, None)
    with torch.no_grad():
        network.conv1_norm.weight.copy_(torch.tensor([0.3, -0.9, 0.2, 0.5]))
        network.conv2_norm.weight.copy_(torch.tensor([0.4, 0.4]))  # of equals, the last stays
        for name in ("conv1", "conv2", "dense"):
            getattr(network, name).weight.fill_(1.0)
    pruner = pruner_of(Channels(keep=0.5, start=1), TOY, network, channels)
    pruner.before(0)
    assert pruner.kept == 36 + 72 + 6
    pruner.before(1)
    left = torch.tensor([True, True, False, True])
    assert torch.equal(pruner.masks["conv1"], left[:, None, None, None].expand(4, 1, 3, 3))
    expected = torch.zeros(2, 4, 3, 3, dtype=torch.bool)
    expected[1, left] = True
    assert torch.equal(pruner.masks["conv2"], expected)
    assert torch.equal(pruner.masks["dense"], torch.tensor([[False, True]] * 3))
    for name, mask in pruner.masks.items():
        assert torch.equal(getattr(network, name).weight, mask.float()), name
    assert network.conv1_norm.weight.tolist() == pytest.approx([0.3, -0.9, 0, 0.5])
    counts = pruner.counts()
    assert [counts[f"kept_{name}"] for name in ("weights", "parameters", "macs")] == [
        27 + 27 + 3,
        27 + 6 + 27 + 2 + 3 + 3,
        867,
    ]


def test_channels_of_all_layers_compete_by_hand():
    """Each score divided by the mean of its layer: .6 1.8 .4 1.2 of conv1, .5 1.5 of conv2."""
    scores = {"conv1": [0.3, 0.9, 0.2, 0.6], "conv2": [10.0, 30.0]}
    for most, kept in ((1734, (4, 2)), (1733, (3, 2)), (1301, (3, 1)), (866, (2, 1)), (9, (1, 1))):
        assert tuple(ranked(scores, toy_price, most, HALF).values()) == kept
    pairs = HALF.model_copy(update={"round_to": 2})
    assert toy_price({"conv1": 2, "conv2": 2}) == 870
    assert ranked(scores, toy_price, 867, pairs) == {"conv1": 2, "conv2": 2}
    assert fitted(groups(TOY), toy_price, 870, pairs) == {"conv1": 2, "conv2": 2}
    assert fitted(groups(TOY), toy_price, 869, pairs) is None

    network = ChainModule(TOY, ChainStyle(), 0.0, 0.0, None)
    with torch.no_grad():
        network.conv1_norm.weight.copy_(torch.tensor(scores["conv1"]))
        network.conv2_norm.weight.copy_(-torch.tensor(scores["conv2"]))
    settings = Channels(keep=0.5, start=1, ranking="network", penalty=0.1)
    pruner = pruner_of(settings, TOY, network, {"conv1": 3, "conv2": 1})
    pruner.before(0)
    (penalty,) = pruner.penalties(0).values()
    assert penalty.item() == pytest.approx(0.1 * (0.3 + 0.9 + 0.2 + 0.6 + 10 + 30))
    penalty.backward()
    assert network.conv1_norm.weight.grad.tolist() == pytest.approx([0.1] * 4)
    assert network.conv2_norm.weight.grad.tolist() == pytest.approx([-0.1] * 2)
    pruner.before(1)
    assert pruner.penalties(1) == {}, "the last channels are gone"
    assert pruner.masks["conv1"].flatten(1).any(dim=1).tolist() == [True, True, False, True]
    assert pruner.masks["conv2"].flatten(1).any(dim=1).tolist() == [False, True]
    assert pruner.counts()["kept_macs"] == 867


@pytest.mark.parametrize(("criterion", "stays"), [("scale", 0), ("l1", 1), ("l2", 2)])
def test_what_judges_channels(criterion: Any, stays: int):
    """By scale the first of three, by L1 the second with many small weights, by L2 the third."""
    layers = [TOY[0]._replace(outputs=3), TOY[2]._replace(inputs=3)]
    network = ChainModule(layers, ChainStyle(), 0.0, 0.0, None)
    with torch.no_grad():
        network.conv1_norm.weight.copy_(torch.tensor([3.0, 2.0, 1.0]))
        network.conv1.weight.zero_()
        network.conv1.weight[1] = 0.5  # |w| sums to 4.5, squares to 2.25
        network.conv1.weight[2, 0, 0, 0] = -4.0
    pruner = pruner_of(
        Channels(keep=0.5, start=1, criterion=criterion), layers, network, {"conv1": 1}
    )
    pruner.before(1)
    alive = pruner.masks["conv1"].flatten(1).any(dim=1)
    assert alive.tolist() == [place == stays for place in range(3)]


def test_shortcuts_join_channels_and_classes_stay(trial: Trial):
    layers = trial.network.layers(10)
    found = groups(layers)
    joined = {each.layers for each in found if len(each.layers) > 1}
    assert joined == {
        ("stem", *(f"block{n}.conv2" for n in (1, 2, 3, 4))),
        ("deep1.shortcut", "deep1.conv2"),
        ("pointwise1.shortcut", "pointwise1.conv2"),
    }
    assert all("classifier" not in each.layers for each in found)
    source = sources(layers)
    assert source["deep1.shortcut"] == source["deep1.conv1"] == "block4.conv2"
    assert source["deep1.conv2"] == "deep1.conv1"
    assert source["classifier"] == "pointwise1.conv2"
    width_4 = trial.network.model_copy(update={"width": 4}).layers(10)
    assert narrowed(width_4, {each.name: each.channels for each in found}) == layers


NETWORKS: dict[str, dict[str, object]] = {
    "cp_resnet": {},
    "cp_resnet bottleneck": {"objective.kind": "bottleneck", "objective.latent": 3},
    "vgg9": {},
    "vgg5": {},
    "vgg5 by frame": {"network.input_norm": "time"},
    "sb_cnn": {"sound.features.mels": 64, "sound.seconds": 4.0},
    "vib_cnn": {"network.padding": "same"},
    "vib_cnn flattened": {"network.padding": "same", "network.flatten": True},
    "vggish": {"network.width": 2},
}


def fitted_trial(trial: Trial, name: str, **more: object) -> Trial:
    kind = name.split()[0]
    judged = "scale" if kind in ("cp_resnet", "vgg9", "vgg5") else "l2"
    plain = {"network.kind": kind, "network.width": 4, "pruning.criterion": judged}
    return changed(trial, {**plain, **NETWORKS[name], **TWICE, **more})


@pytest.mark.parametrize("damping", [0.0, 0.9], ids=["base", "damped"])
@pytest.mark.parametrize("name", NETWORKS)
def test_compacted_and_masked_networks_answer_alike(trial: Trial, name: str, damping: float):
    """Trained for a few steps between the cuts, so that statistics and moments have moved."""
    pruned = fitted_trial(trial, name, **{"network.damping": damping})
    network = classifier.network(pruned, 5, torch_stream(0, "t"))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=1e-3)
    layers, rounds = sizes.network_layers(pruned, 5), sizes.narrowings(pruned, 5)
    assert isinstance(pruned.pruning, Channels)
    pruner = ChannelPruner(pruned.pruning, layers, rounds, network, optimizer)
    x_BCFN = torch.randn(4, 1, *pruned.sound.shape, generator=torch_stream(0, "x"))
    reseed(network, lambda name: torch_stream(0, name))
    for epoch in range(4):
        pruner.before(epoch)
        functional.cross_entropy(network(x_BCFN).logits_BY, torch.arange(4)).backward()
        optimizer.step()
        optimizer.zero_grad()
    small = compaction.compacted(network, network, layers).eval()
    masked_BY, compact_BY = network.eval()(x_BCFN).logits_BY, small(x_BCFN).logits_BY
    assert masked_BY.abs().max() > 1e-3
    torch.testing.assert_close(compact_BY, masked_BY, atol=1e-5, rtol=1e-5)
    channels, cost = rounds[-1]
    assert compaction.channels(network, layers) == channels
    assert sum(each.numel() for each in small.parameters()) == cost.parameters
    assert pruner.kept == cost.weights < rounds[0].cost.weights
    assert cost.macs <= rounds[0].cost.macs / 2
    zeros = sum(int((each == 0).sum()) for each in network.parameters())
    assert zeros >= rounds[0].cost.parameters - cost.parameters


def test_single_weights_leave_nothing_to_compact(trial: Trial):
    network = trial.network.build(5, torch_stream(0, "t"))
    layers = trial.network.layers(5)
    draws = torch_stream(1, "t")
    for name in (layer.name for layer in layers):
        module: Any = network.get_submodule(name)
        module.cut(torch.rand(module.weight.shape, generator=draws) < 0.3)
    channels = compaction.channels(network, layers)
    assert channels == {each.name: each.channels for each in groups(layers)}
    assert sizes.in_bytes(1000, 801, 301, None) == (4000, 4 * 500 + 101, 4000)
    assert sizes.in_bytes(1000, 800, 300, 400) == (4000, 4 * 400 + 100, 1600)
    assert sizes.in_bytes(1000, 800, 800, None) == (4000, 4000, 4000)


@pytest.mark.parametrize("budget", ["macs", "parameters", "bytes"])
def test_budgets_bound_what_is_left(trial: Trial, budget: str):
    unit = 4 if budget == "bytes" else 1
    name = "parameters" if budget == "bytes" else budget
    by_share = fitted_trial(trial, "cp_resnet", **{"pruning.budget": budget, "network.width": 16})
    rounds = [unit * getattr(each.cost, name) for each in sizes.narrowings(by_share, 5)]
    assert rounds[0] > rounds[1] > rounds[2]
    assert 0.48 < rounds[2] / rounds[0] <= 0.5  # of widths of 16 and more, to one channel
    assert rounds[1] / rounds[0] == pytest.approx(0.5**0.5, abs=0.03)
    limit = {"pruning.keep": 0, "pruning.limit": rounds[2]}
    by_number = sizes.narrowings(changed(by_share, limit), 5)
    assert by_number[-1] == sizes.narrowings(by_share, 5)[-1]
    told = price(by_share, 5).facts()
    assert told[f"kept_{name}"] * unit == rounds[2]
    assert told["bytes"] == 4 * told["kept_parameters"] < told["sparse_bytes"] < told["dense_bytes"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"pruning.keep": 1.0}, "pruning.keep=1.0: must be below 1"),
        ({"pruning.keep": 0.0}, "keep=0 and limit=0: exactly one of the two"),
        ({"pruning.limit": 9}, "keep=0.5 and limit=9: exactly one of the two"),
        ({"pruning.start": 0}, "start=0: channels are cut by what they have learnt"),
        ({"pruning.penalty": 0.1, "pruning.criterion": "l1"}, "penalty=0.1 lowers scales, crit"),
        ({"pruning.every": 2}, "every=2 changes nothing with rounds=1"),
        ({"pruning.start": 3}, "cuts last before epoch 4 of training.epochs=3"),
        ({"pruning.rounds": 3}, "start=1, 3 rounds 1 apart, cuts last before epoch 4"),
        ({"training.patience": 2}, "may end a trial before pruning.kind=channels"),
        ({"pruning.target": 9}, "channels has no target, only static and magnitude"),
    ],
)
def test_settings_that_do_not_fit(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        changed(trial, {**ONCE, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"pruning.keep": 0.01}, r"keep=0.01 leaves .* of .* macs: with one channel .*keep=0\."),
        (
            {"pruning.keep": 0, "pruning.limit": 9, "pruning.budget": "parameters"},
            r"limit=9 leaves 9 of .* parameters: .* there are (\d+), at least pruning.limit=\1$",
        ),
        ({"pruning.keep": 0, "pruning.limit": 10**12}, "pruning adds none: at most"),
        ({"network.kind": "timbre"}, "network.kind=timbre has no layer but the one that answers"),
        ({"network.kind": "vib_cnn", "network.padding": "same"}, "scale: conv1 of .* no normali"),
    ],
)
def test_budgets_that_cannot_be_met(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        price(changed(trial, {**ONCE, "sound.features.mels": 128, **changes}), 5)


def test_the_smallest_budget_can_be_met(trial: Trial):
    with pytest.raises(ValueError, match="at least pruning") as raised:
        price(changed(trial, {**ONCE, "pruning.keep": 0.01}), 5)
    least = float(str(raised.value).rpartition("=")[2])
    (_, last) = sizes.narrowings(changed(trial, {**ONCE, "pruning.keep": least}), 5)
    assert min(last.channels.values()) == 1
    with pytest.raises(ValueError, match="at least pruning"):
        price(changed(trial, {**ONCE, "pruning.keep": least - 0.001}), 5)


def states(trial: Trial, store: Store, here: machine.Machine, state: Any = None) -> Iterator[Any]:
    for epoch in run(trial, store, here, state):
        yield epoch, {name: value.clone() for name, value in epoch.state["model"].items()}


@pytest.mark.parametrize("ranking", ["layer", "network"])
def test_a_trial_is_cut_as_planned_and_resumes_to_the_bit(
    trial: Trial, store: Store, here: machine.Machine, ranking: str
):
    """Ranked over the network, and penalized, its counts are only bounded before it trains."""
    penalty = 1e-3 * (ranking == "network")
    pruned = changed(trial, {**TWICE, "pruning.ranking": ranking, "pruning.penalty": penalty})
    rounds = sizes.narrowings(pruned, len(store.labels))
    assert isinstance(pruned.pruning, Channels)
    whole = list(states(pruned, store, here))
    before: dict[str, Tensor] = {}
    for epoch, model in whole:
        plan = rounds[pruned.pruning.done(epoch.number - 1)]
        values = epoch.overall("train")
        if ranking == "layer":
            assert values["kept_weights"] == plan.cost.weights
            assert values["kept_parameters"] == plan.cost.parameters
            assert values["kept_macs"] == plan.cost.macs
        done = pruned.pruning.done(epoch.number - 1)
        assert values["kept_macs"] <= pruned.pruning.after(done, rounds[0].cost.macs)
        assert values["kept_weights"] == sum(int(m.sum()) for m in epoch.state["masks"].values())
        assert ("scale_penalty" in values) == (penalty > 0 and epoch.number <= 2)
        for name, mask in epoch.state["masks"].items():
            assert not model[f"network.{name}.weight"][~mask].any(), "zero, for good"
            assert not (mask & ~before.get(name, mask)).any(), "none comes back"
        before = epoch.state["masks"]
    for cut in (1, 2) if ranking == "layer" else (2,):  # before a round, and between two
        steps = run(pruned, store, here)
        for _ in range(cut):
            state = next(steps).state
        saved = io.BytesIO()
        torch.save(state, saved)
        again = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
        for (_, own), (_, resumed) in zip(
            whole[cut:], states(pruned, store, here, again), strict=True
        ):
            assert all(torch.equal(own[name], resumed[name]) for name in own)


@pytest.mark.parametrize("ranking", ["layer", "network"])
def test_weights_are_zero_where_cut_and_are_used_without(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, ranking: str
):
    """A reader of its records learns what it kept, also where nobody could know before."""
    he = {"network.initialization": "he", "pruning.ranking": ranking}
    pruned = changed(trial, {**ONCE, **he})
    results = ended(pruned, store, here, tmp_path)
    (told,) = reading.load(results).manifest.to_dict("records")
    left = told["kept_parameters"]
    assert told["kept_macs"] <= told["macs"] / 2
    saved = results.get("weights", f"{pruned.id}.safetensors")
    assert saved is not None
    weights = safetensors.torch.load(saved)
    cost = price(pruned, len(store.labels))
    assert cost.compacted is not None
    stats = ("running_mean", "running_var", "num_batches_tracked")
    learned = {
        name: value
        for name, value in weights.items()
        if name.startswith("network.") and name.rpartition(".")[2] not in stats
    }
    assert sum(v.numel() for v in learned.values()) == cost.cost.parameters
    assert sum(int((v != 0).sum()) for v in learned.values()) == left
    assert (left == cost.compacted.parameters) == (ranking == "layer")

    front = nn.Identity()
    masked = classifier.untrained(pruned, len(store.labels), front, here)
    masked.load_state_dict(weights)
    used = classifier.in_use(masked.eval(), pruned, len(store.labels))
    assert sum(each.numel() for each in used.parameters()) == left
    x_BFN = torch.randn(3, *pruned.sound.shape)
    torch.testing.assert_close(used(x_BFN).logits_BY, masked(x_BFN).logits_BY, atol=1e-5, rtol=0)
    assert classifier.in_use(masked, trial, len(store.labels)) is masked
