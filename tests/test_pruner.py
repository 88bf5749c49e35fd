"""Pruning done to a network while it trains: what is cut stays cut, and a trial goes on from it."""

import io
from pathlib import Path

import pytest
import safetensors.torch
import torch

from scaling import machine
from scaling.networks.modules.kernels import Convolution
from scaling.pruning.pruner import Pruner
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training.methods import run

STATIC = {"pruning.kind": "static", "pruning.target_width": 2, "network.width": 4}
MAGNITUDE = {
    **STATIC,
    "pruning.kind": "magnitude",
    "pruning.start": 1,
    "pruning.length": 2,
    "training.epochs": 5,
}
REDRAWN = {**STATIC, "pruning.initialization": "uniform"}
BOTH = pytest.mark.parametrize("changes", [STATIC, MAGNITUDE], ids=["static", "magnitude"])


def kernels(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The convolutions' weights of a saved classifier, by the names that records use."""
    return {
        name.removeprefix("network.").removeprefix("").removesuffix(".weight"): value
        for name, value in state.items()
        if value.ndim == 4
    }


def zeros(state: dict[str, torch.Tensor]) -> dict[str, int]:
    return {name: int((value == 0).sum()) for name, value in kernels(state).items()}


@BOTH
@pytest.mark.parametrize("damping", [0.0, 0.9])
def test_a_trial_ends_with_exactly_its_target(
    trial: Trial, store: Store, here: machine.Machine, changes: dict[str, object], damping: float
):
    pruned = changed(trial, {**changes, "network.damping": damping, "network.initialization": "he"})
    classes = len(store.labels)
    target = sizes.kept_weights(pruned, classes)
    narrow = pruned.network.model_copy(update={"width": 2}).layers(classes)
    assert target == sum(layer.weights for layer in narrow)
    last = list(run(pruned, store, here))[-1]
    values = {row.metric: row.value for row in last.metrics}
    assert values["kept_weights"] == target
    weights = kernels(last.state["model"])
    assert sum(int((w != 0).sum()) for w in weights.values()) == target
    for name, weight in weights.items():
        assert values[f"kept_weights.{name}"] == int((weight != 0).sum())


def test_kept_weights_follow_the_schedule(trial: Trial, store: Store, here: machine.Machine):
    pruned = changed(trial, MAGNITUDE)
    classes = len(store.labels)
    dense = sizes.cost(pruned, classes).weights
    target = sizes.kept_weights(pruned, classes)
    kept = [
        row.value
        for epoch in run(pruned, store, here)
        for row in epoch.metrics
        if row.metric == "kept_weights"
    ]
    due = [pruned.pruning.remaining(dense, target, epoch) for epoch in range(5)]
    assert kept == due
    assert kept[:2] == [dense, dense]
    assert kept[3:] == [target, target]


@BOTH
def test_masks_only_shrink_and_zeros_stay(
    trial: Trial, store: Store, here: machine.Machine, changes: dict[str, object]
):
    before: dict[str, torch.Tensor] = {}
    for epoch in run(changed(trial, changes), store, here):
        masks = {name: mask.clone() for name, mask in epoch.state["masks"].items()}
        weights = kernels(epoch.state["model"])
        for name, mask in masks.items():
            assert not weights[name][~mask].any(), "what is cut is exactly zero"
            assert not (mask & ~before.get(name, mask)).any(), "and never comes back"
        before = masks


@pytest.mark.parametrize("changes", [STATIC, MAGNITUDE, REDRAWN])
def test_a_resumed_trial_is_an_undisturbed_one(
    trial: Trial, store: Store, here: machine.Machine, changes: dict[str, object]
):
    pruned = changed(trial, changes)
    whole = list(run(pruned, store, here))[-1]
    for cut in (1, 2):
        steps = run(pruned, store, here)
        for _ in range(cut):
            state = next(steps).state
        saved = io.BytesIO()
        torch.save(state, saved)
        again = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
        last = list(run(pruned, store, here, again))[-1]
        for name, value in whole.state["model"].items():
            assert torch.equal(value, last.state["model"][name]), name


def test_moments_are_cut_with_their_weights(trial: Trial):
    pruned = changed(trial, {**MAGNITUDE, "network.initialization": "he"})
    network = pruned.network.build(10, torch_stream(0, "t"))
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=True)
    pruner = Pruner(pruned.pruning, pruned.seed, network, optimizer, sizes.kept_weights(pruned, 10))
    x_BCFN = torch.randn(4, 1, 32, 32)
    for epoch in range(5):
        pruner.before(epoch)
        for module in network.modules():
            if isinstance(module, Convolution) and module.mask is not None:
                cut = module.mask == 0
                assert not module.weight[cut].any()
                moments = optimizer.state[module.weight]
                assert not moments["exp_avg"][cut].any()
                assert not moments["exp_avg_sq"][cut].any()
        for _ in range(3):
            network(x_BCFN).logits_BY.square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert pruner.kept == sizes.kept_weights(pruned, 10)


def test_scores_may_count_the_damping(trial: Trial):
    """Ranked by weight x damping, a damped network loses its outer taps first."""
    damped = {**MAGNITUDE, "network.damping": 0.99, "network.initialization": "he"}
    lost = {}
    for score in ("weight", "kernel"):
        pruned = changed(trial, {**damped, "pruning.score": score})
        network = pruned.network.build(10, torch_stream(0, "t"))
        optimizer = torch.optim.Adam(network.parameters())
        pruner = Pruner(
            pruned.pruning, pruned.seed, network, optimizer, sizes.kept_weights(pruned, 10)
        )
        pruner.before(4)
        masks = [mask for mask in pruner.masks.values() if mask.shape[2] == 3]
        lost[score] = sum(int((~mask[:, :, ::2]).sum()) for mask in masks)
    assert lost["kernel"] > 1.2 * lost["weight"]


def test_masked_is_folded(trial: Trial):
    """A masked network and a fresh one with its saved weights say the same."""
    pruned = changed(trial, {**STATIC, "network.damping": 0.5, "network.initialization": "he"})
    network = pruned.network.build(10, torch_stream(0, "t"))
    Pruner(pruned.pruning, pruned.seed, network, torch.optim.Adam(network.parameters()), 900)
    folded = pruned.network.build(10, torch_stream(1, "t"))
    folded.load_state_dict(network.state_dict())
    x_BCFN = torch.randn(2, 1, 32, 40)
    assert torch.equal(network(x_BCFN).logits_BY, folded(x_BCFN).logits_BY)


def test_equal_seeds_cut_alike(trial: Trial):
    def masks(seed: int) -> dict[str, torch.Tensor]:
        pruned = changed(trial, {**STATIC, "seed": seed})
        network = pruned.network.build(10, torch_stream(0, "t"))
        return Pruner(
            pruned.pruning, pruned.seed, network, torch.optim.Adam(network.parameters()), 900
        ).masks

    one, same, other = masks(1), masks(1), masks(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_saved_weights_are_zero_where_cut(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    pruned = changed(trial, {**STATIC, "network.initialization": "he"})
    results = Results(tmp_path)
    list(run_trial(pruned, store, here, results))
    saved = results.get("weights", f"{pruned.id}.safetensors")
    assert saved is not None
    weights = kernels(safetensors.torch.load(saved))
    kept = sum(int((w != 0).sum()) for w in weights.values())
    assert kept == sizes.kept_weights(pruned, len(store.labels))
