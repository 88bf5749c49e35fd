"""RigL: which weights go and come back, at which steps, and that nothing else moves."""

import io
import math

import pytest
import torch
from torch import Tensor, nn

from scaling import machine
from scaling.networks.modules.kernels import Dense
from scaling.pruning.pruner import Pruner
from scaling.pruning.regrower import Regrower, moved
from scaling.pruning.rigl import RigL
from scaling.pruning.static import Static
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session
from scaling.training.shape import shape

RIGL = {
    "network.depth": 0,
    "network.pointwise": 0,
    "network.width": 4,
    "pruning.kind": "rigl",
    "pruning.target_width": 2,
    "pruning.density": "erk",
    "pruning.period": 2,
    "pruning.fraction": 0.5,
    "evaluation.every": 3,
}


def test_when_and_how_many_by_hand():
    """100 steps, masks stay from the 75th on: cosine from .3 down to 0 there."""
    settings = RigL(target=9, period=25)
    assert [step for step in range(100) if settings.share(step, 100)] == [25, 50]
    assert settings.share(25, 100) == pytest.approx(0.15 * (1 + math.cos(math.pi / 3)))  # .225
    assert settings.share(50, 100) == pytest.approx(0.075)
    assert settings.last(100) == 50
    assert settings.model_copy(update={"until": 1.0}).last(100) == 75
    assert settings.last(33) == 0


def test_a_layer_by_hand():
    """Six of nine weights, a third of which move: the two smallest go; of the five that are then
    zero, the two of the largest gradient come back, one of which had just gone.
    """
    weight = torch.tensor([[3.0, -0.1, 0.0], [0.2, 5.0, -4.0], [0.0, 0.0, 1.0]])
    gradient = torch.tensor([[9.0, -7.0, 1.0], [6.0, 9.0, 9.0], [2.0, 8.0, 9.0]])
    survivors, grown = moved(weight, weight != 0, gradient, 1 / 3)
    assert survivors.tolist() == [[True, False, False], [False, True, True], [False, False, True]]
    assert grown.tolist() == [[False, True, False], [False, False, False], [False, True, False]]
    # of equals the first goes, and the first comes back
    mask = torch.tensor([True, True, False, False])
    survivors, grown = moved(torch.tensor([1.0, 1.0, 0, 0]), mask, torch.ones(4), 0.5)
    assert survivors.tolist() == [False, True, False, False]
    assert grown.tolist() == [True, False, False, False]
    survivors, grown = moved(weight, weight != 0, gradient, 0.1)  # less than one weight
    assert torch.equal(survivors, weight != 0)
    assert not grown.any()
    dense = torch.ones(3, 3, dtype=torch.bool)
    assert moved(weight, dense, gradient, 0.5)[0].all()
    assert not moved(weight, dense, gradient, 0.5)[1].any()


def test_gradients_of_cut_weights_decide_and_moments_begin_at_zero():
    torch.manual_seed(0)
    network = nn.Sequential(Dense(6, 5), nn.ReLU(), Dense(5, 3))
    for layer in (network[0], network[2]):
        nn.init.normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, fused=True)
    settings = RigL(target=24, period=3, fraction=1.0, density="uniform")
    pruner = Regrower(settings, 1, network, optimizer, 24, steps=8, epochs=1)
    x_BD, changes = torch.randn(40, 6), 0
    for step in range(8):
        before = {name: layer.weight.detach().clone() for name, layer in pruner.layers.items()}
        masks = dict(pruner.masks)
        losses = [network(x_BD).square().sum()]
        plain = torch.autograd.grad(  # through weights that no mask touches
            losses, [layer.weight for layer in pruner.layers.values()], retain_graph=True
        )
        took = pruner.steps_instead(losses)
        assert took == (step == 3)
        if not took:
            optimizer.zero_grad()
            torch.autograd.backward(losses)
            optimizer.step()
        for (name, layer), gradient in zip(pruner.layers.items(), plain, strict=True):
            assert not layer.weight[~pruner.masks[name]].any()
            if not took:
                assert torch.equal(masks[name], pruner.masks[name])
                continue
            share = settings.share(3, 8)
            survivors, grown = moved(before[name], masks[name], gradient, share)
            mask = survivors | grown
            assert torch.equal(pruner.masks[name], mask)
            assert torch.equal(layer.mask, mask.float())
            assert torch.equal(layer.weight, before[name] * survivors)
            for moment in ("exp_avg", "exp_avg_sq"):
                value = optimizer.state[layer.weight][moment]
                assert not value[~survivors].any()
                assert value[survivors].any()
            assert layer.weight.grad is None
            changes += int(grown.sum())
    assert pruner.counts()["grown_weights"] == changes > 0


def test_masks_move_at_constant_counts_and_resume_to_the_bit(
    trial: Trial, store: Store, here: machine.Machine
):
    pruned = changed(trial, RIGL)
    target = sizes.kept_weights(pruned, len(store.labels))
    states, counts, grown = [], [], []
    before: dict[str, Tensor] = {}
    for epoch in run(pruned, store, here):
        values = epoch.overall("train")
        assert values["kept_weights"] == target
        counts.append({n: v for n, v in values.items() if n.startswith("kept_weights.")})
        grown.append(values["grown_weights"])
        weights = epoch.state["model"]
        for name, mask in epoch.state["masks"].items():
            assert not weights[f"network.{name}.weight"][~mask].any()
        moved_on = any(
            not torch.equal(mask, before[name])
            for name, mask in epoch.state["masks"].items()
            if before
        )
        assert moved_on == bool(before and grown[-1])
        before = {name: mask.clone() for name, mask in epoch.state["masks"].items()}
        saved = io.BytesIO()
        torch.save(epoch.state, saved)
        states.append(saved.getvalue())
        last = epoch
    assert counts[0] == counts[1] == counts[2], "of every layer"
    steps = int(values["steps"])
    expected = [0, 0, 0]
    for step in range(3 * steps):
        share = pruned.pruning.share(step, 3 * steps)
        for mask in before.values():
            kept = int(mask.sum())
            expected[step // steps] += (kept < mask.numel()) * math.floor(share * kept)
    assert grown == expected
    assert grown[0] > grown[1] > 0
    for state in states[:-1]:
        *_, again = run(pruned, store, here, torch.load(io.BytesIO(state), weights_only=True))
        for name, value in last.state["model"].items():
            assert torch.equal(value, again.state["model"][name]), name
        for name, mask in last.state["masks"].items():
            assert torch.equal(mask, again.state["masks"][name]), name


def test_it_begins_as_static_pruning_of_the_same_density(trial: Trial):
    def masks(settings: Static | RigL) -> dict[str, Tensor]:
        network = trial.network.build(10, torch_stream(0, "t"))
        optimizer = torch.optim.Adam(network.parameters())
        if isinstance(settings, RigL):
            return Regrower(settings, 3, network, optimizer, 300, 9, 9).masks
        return Pruner(settings, 3, network, optimizer, 300).masks

    one = masks(Static(target=300, density="erk"))
    other = masks(RigL(target=300, density="erk", period=5))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_cannot_be_is_one_line(trial: Trial, store: Store, here: machine.Machine):
    late = changed(trial, {**RIGL, "pruning.period": 1000})
    with pytest.raises(ValueError, match=r"^pruning\.period=1000: masks .* at most \d+$") as caught:
        Session(late, Listener(late, store, here), here, None, None)
    most = int(str(caught.value).rpartition(" ")[2])
    fits = changed(trial, {**RIGL, "pruning.period": most})
    session = Session(fits, Listener(fits, store, here), here, None, None)
    assert session.pruner is not None
    with pytest.raises(ValueError, match=r"^pruning\.density=magnitude .*initialization=he$"):
        changed(trial, {**RIGL, "pruning.density": "magnitude", "network.initialization": "fixup"})
    assert shape(fits, 100) is None, "its masks change within an epoch: it trains alone"
    assert shape(changed(trial, {"pruning.kind": "static", "pruning.target": 900}), 100)
