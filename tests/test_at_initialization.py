"""Pruning at initialization: scores worked by hand, plain twins, masks of whole trials."""

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling import machine
from scaling.networks import NETWORKS
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.modules.output import Output
from scaling.pruning import saliency
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import loop, stacked
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session
from scaling.training.steps import Step

KINDS = ("snip", "grasp", "synflow")
HE = {"network.initialization": "he", "network.width": 4, "pruning.target_width": 2}


class Line(nn.Module):
    """(B, 1, 1, N) to (B, Y): two dense layers, the first of which is rectified."""

    def __init__(self, first: list[list[float]], second: list[list[float]]) -> None:
        super().__init__()
        self.first = Dense(len(first[0]), len(first))
        self.second = Dense(len(second[0]), len(second))
        with torch.no_grad():
            for layer, weights in ((self.first, first), (self.second, second)):
                layer.weight.copy_(torch.tensor(weights))
                layer.bias.zero_()

    def forward(self, x_BCFN: Tensor) -> Output:
        hidden = functional.relu(self.first(x_BCFN.flatten(1)))
        return Output(self.second(hidden), x_BCFN)


def square(network: nn.Module, temperature: float) -> Tensor:
    """Half the square of the answer to an input of ones."""
    return (network(torch.ones(1, 1, 1, 2)).logits_BY / temperature).square().sum() / 2


def test_snip_by_hand():
    """y = 2 (w1 + w2) + 1 (w3 + w4), of w = 1, 2, 3, -1: y = 8; dL/dw = y dy/dw."""
    line = Line([[1.0, 2.0], [3.0, -1.0]], [[2.0, 1.0]])
    scores = saliency.snip(line, [square])
    assert scores["first"].tolist() == [[16.0, 32.0], [24.0, 8.0]]  # |w| y times 2, 2, 1, 1
    assert scores["second"].tolist() == [[48.0, 16.0]]  # |v| y times h = 3, 2
    twice = saliency.snip(line, [square, square])
    assert torch.equal(twice["first"], 2 * scores["first"]), "gradients of batches add up"
    masks = saliency.kept("snip", scores, 4, 1.0)
    assert masks["first"].tolist() == [[False, True], [True, False]]  # of equals the first goes
    assert masks["second"].tolist() == [[True, True]]


def test_grasp_by_hand():
    """y = a + 2 b with a = 1, b = -3: L = y^2 / 2, g = (y, 2 y), H = ((1, 2), (2, 4)), y = -5.

    H g = (5 y, 10 y): scores w (H g) are a 5 y = -25 and b 10 y = 150. Cutting b (y = 1) lowers
    the squared norm 5 y^2 from 125 to 5, cutting a (y = -6) raises it to 180: b stays.
    """
    network = nn.Sequential()
    network.add_module("only", Dense(2, 1))
    with torch.no_grad():
        network.only.weight.copy_(torch.tensor([[1.0, -3.0]]))
        network.only.bias.zero_()

    def loss(model: nn.Module, temperature: float) -> Tensor:
        return (model(torch.tensor([[1.0, 2.0]])) / temperature).square().sum() / 2

    assert saliency.grasp(network, [loss], 1.0)["only"].tolist() == [[-25.0, 150.0]]
    # the loss falls with the temperature's square, its Hessian times its gradient with the fourth
    cold = saliency.grasp(network, [loss], 10.0)["only"]
    assert torch.allclose(cold, torch.tensor([[-25e-4, 150e-4]]))
    assert saliency.kept("grasp", {"only": cold}, 1, 1.0)["only"].tolist() == [[False, True]]


def test_synflow_by_hand():
    """Magnitudes (1, 2), (3, 1) and (2, 1): paths through each weight are 2, 4, 3, 1; 6 and 4."""
    line = Line([[1.0, -2.0], [3.0, -1.0]], [[2.0, -1.0]])
    once = saliency.synflow(copy.deepcopy(line), (1, 2), 4, 1.0, 1)
    assert once["first"].tolist() == [[False, True], [True, False]]
    assert once["second"].tolist() == [[True, True]]
    # to two: first and second keep one each, as no layer may be emptied
    assert {n: int(m.sum()) for n, m in saliency.synflow(line, (1, 2), 2, 1.0, 1).items()} == {
        "first": 1,
        "second": 1,
    }


def test_synflow_again_and_again_keeps_a_path():
    """In one cut the weights left do not meet; in many they do: what is cut off counts nothing."""
    # first: unit 1 gets 5, 5 (sum 10) and answers through .9; unit 2 gets 8 and answers through 1
    line = Line([[5.0, 5.0], [8.0, 0.1]], [[0.9, 1.0]])
    # scores: 4.5, 4.5, 8, .1; 9 and 8.1: in one cut 8 and 9 stay, which do not meet
    once = saliency.synflow(copy.deepcopy(line), (1, 2), 2, 1.0, 1)
    assert once["first"].tolist() == [[False, False], [True, False]]
    assert once["second"].tolist() == [[True, False]]
    # one by one: .1 goes, then 4.5 (9 becomes 4.5), then the rest of unit 1
    often = saliency.synflow(line, (1, 2), 2, 1.0, 100)
    assert often["first"].tolist() == [[False, False], [True, False]]
    assert often["second"].tolist() == [[False, True]]


def cp_resnet(trial: Trial, **changes: Any) -> tuple[nn.Module, list[saliency.LossOf]]:
    """A damped CP-ResNet in training mode, and the losses of two batches."""
    settings = changed(trial, {**HE, "pruning.kind": "static", "network.damping": 0.9, **changes})
    network = settings.network.build(3, torch_stream(1, "t")).train()
    draw = torch.Generator().manual_seed(0)

    def of(x_BCFN: Tensor, targets_BY: Tensor) -> saliency.LossOf:
        def loss(model: nn.Module, temperature: float) -> Tensor:
            logits_BY = model(x_BCFN.to(next(model.parameters()))).logits_BY / temperature
            return functional.cross_entropy(logits_BY, targets_BY.to(logits_BY))

        return loss

    return network, [
        of(
            torch.randn(6, 1, 32, 24, generator=draw),
            functional.one_hot(torch.arange(6) % 3, 3).float(),
        )
        for _ in range(2)
    ]


def test_scores_of_a_network_are_those_of_plain_twins(trial: Trial):
    """Weight by weight, by differences of the loss and of the squared norm of the gradient."""
    network, losses = cp_resnet(trial)
    network.double()
    snip = saliency.snip(network, losses)
    grasp = saliency.grasp(network, losses, 2.0)
    weights = saliency.layers(network)

    def total(temperature: float) -> Tensor:
        return torch.stack([loss(network, temperature) for loss in losses]).sum()

    def norm() -> float:
        found = torch.autograd.grad(total(2.0), [*weights.values()])
        return float(sum(each.square().sum() for each in found))

    draw = np.random.default_rng(0)
    for name in ("stem", "block2.conv1", "classifier"):
        weight = weights[name].data
        place = tuple(int(draw.integers(side)) for side in weight.shape)
        value, step = float(weight[place]), 1e-7  # few ReLUs switch within
        ends = []
        for signed in (step, -step):
            weight[place] = value + signed
            ends.append((float(total(1.0).detach()), norm()))
        weight[place] = value
        slope, flow = ((a - b) / (2 * step) for a, b in zip(*ends, strict=True))
        assert float(snip[name][place]) == pytest.approx(abs(value * slope), rel=1e-4, abs=1e-9)
        assert float(grasp[name][place]) == pytest.approx(value * flow / 2, rel=1e-3, abs=1e-9)


def test_synflow_conserves_what_flows(trial: Trial):
    """Into a unit as much as out of it: without shortcuts the scores of all layers have one sum."""
    network, _ = cp_resnet(trial)
    weights = saliency._of_magnitudes(network)
    flow = network(torch.ones(1, 1, 32, 24).double()).logits_BY.sum()
    found = torch.autograd.grad(flow, [*weights.values()])
    sums = {n: float((weights[n] * g).sum().detach()) for n, g in zip(weights, found, strict=True)}
    assert sums["stem"] == pytest.approx(float(flow.detach()), rel=1e-9)
    assert sums["classifier"] == pytest.approx(float(flow.detach()), rel=1e-9)
    for conv in (f"block{n}.conv" for n in (1, 2, 3, 4)):
        assert sums[f"{conv}1"] == pytest.approx(sums[f"{conv}2"], rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_keeps_its_target_and_resumes_to_the_bit(
    trial: Trial, store: Store, here: machine.Machine, kind: str
):
    few = {"training.epochs": 2, "training.warmup": 0, "network.dropout": 0.2}
    pruned = changed(trial, {**HE, **few, "pruning.kind": kind})
    target = sizes.kept_weights(pruned, len(store.labels))
    first, last = run(pruned, store, here)
    for epoch in (first, last):
        values = epoch.overall("train")
        assert values["kept_weights"] == target
        assert "collapsed_layers" in values
        for name, mask in epoch.state["masks"].items():
            assert not last.state["model"][f"network.{name}.weight"][~mask].any()
    steps = run(pruned, store, here)
    saved = io.BytesIO()
    torch.save(next(steps).state, saved)
    state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    (again,) = run(pruned, store, here, state)
    for name, value in last.state["model"].items():
        assert torch.equal(value, again.state["model"][name]), name


def session(trial: Trial, store: Store, here: machine.Machine) -> Session:
    return Session(trial, Listener(trial, store, here), here, None, None)


def test_judging_leaves_the_network_as_it_was_drawn(
    trial: Trial, store: Store, here: machine.Machine
):
    """What is left are the weights of the dense trial, and normalization has seen nothing."""
    pruned = changed(trial, {**HE, "pruning.kind": "snip"})
    dense = session(changed(pruned, {"pruning.kind": "none"}), store, here)
    cut = session(pruned, store, here)
    assert cut.pruner is not None
    own = cut.model.state_dict()
    for name, value in dense.model.state_dict().items():
        layer = name.removeprefix("network.").removesuffix(".weight")
        mask = cut.pruner.masks.get(layer)
        assert torch.equal(own[name], value if mask is None else value * mask), name
    steps = [next(each.steps()) for each in (dense, cut)]
    assert torch.equal(steps[0].views[0], steps[1].views[0]), "and clips come as before"

    def plain(network: nn.Module, step: Step) -> dict[str, Tensor]:
        network.train()
        out = network(step.views[0][:, None])
        loss = torch.stack([*cut.objective.loss([out], step.targets_BY, 0).parts.values()]).sum()
        loss.backward()
        return {
            name: (each.weight * each.weight.grad).abs()
            for name, each in network.named_modules()
            if isinstance(each, Convolution)
        }

    scores = plain(dense.model.network, steps[0])
    threshold = torch.cat([each.flatten() for each in scores.values()]).topk(cut.pruner.kept)
    least = threshold.values[-1]
    spared = 0  # by the guard
    for name, mask in cut.pruner.masks.items():
        assert (mask | (scores[name] <= least)).all()
        spared += int((mask & (scores[name] < least)).sum())
    assert spared <= 2


def test_others_beside_it_in_a_stack_change_nothing(
    trial: Trial, store: Store, here: machine.Machine
):
    few = {"training.epochs": 1, "training.warmup": 0}
    trials = [changed(trial, {**HE, **few, "pruning.kind": kind}) for kind in ("snip", "synflow")]
    sessions = {each.id: session(each, store, here) for each in trials}
    (together,) = stacked.run(sessions)
    for one in trials:
        (alone,) = loop.run(one, Listener(one, store, here), here)
        ours = together[one.id]
        for name, mask in alone.state["masks"].items():
            assert torch.equal(mask, ours.state["masks"][name])  # type: ignore[union-attr]
        loss = alone.overall("train")["loss"]
        assert ours.overall("train")["loss"] == pytest.approx(loss, rel=1e-5)  # type: ignore[union-attr]


def test_what_cannot_be_is_one_line(trial: Trial, store: Store, here: machine.Machine):
    for kind in KINDS:
        fixup = {"network.initialization": "fixup", "pruning.kind": kind, "pruning.target": 90}
        with pytest.raises(ValueError, match=rf"^pruning\.kind={kind} .*initialization=he$"):
            changed(trial, fixup)
    many = changed(trial, {**HE, "pruning.kind": "snip", "pruning.batches": 1000})
    with pytest.raises(ValueError, match=r"^pruning\.batches=1000: an epoch has \d+ of them, at"):
        session(many, store, here)
    with pytest.raises(ValueError, match=r"kind=static has no batches, only snip and grasp have"):
        changed(trial, {"pruning.kind": "static", "pruning.target": 9, "pruning.batches": 2})

    class Offset(Line):
        def forward(self, x_BCFN: Tensor) -> Output:
            return super().forward(x_BCFN - x_BCFN.mean() + 1)

    weights = [[1.0, 2.0], [3.0, -1.0]], [[2.0, 1.0]]
    with pytest.raises(ValueError, match=r"^pruning\.kind=synflow needs .* doubles with its input"):
        saliency.synflow(Offset(*weights), (1, 2), 4, 1.0, 10)
    separable = NETWORKS["tf_sepnet"](width=8).build(3, torch_stream(0, "t"))
    with pytest.raises(ValueError, match=r"^pruning\.kind=synflow needs .* doubles with its input"):
        saliency.synflow(separable, (256, 44), 400, 0.99, 10)  # it normalizes bands within
    still = Line([[0.0, 0.0]], [[2.0]])
    with pytest.raises(ValueError, match=r"^pruning\.kind=snip: the scores of first .* are 0"):
        saliency.kept("snip", saliency.snip(still, [square]), 2, 1.0)
