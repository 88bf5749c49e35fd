"""SAM and its adaptive form: against the formula, with all that a step may hold, and resumed."""

from itertools import islice

import pytest
import torch
from torch import nn

from scaling import machine
from scaling.networks.modules.kernels import Dense
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import optimizer, sharpness
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session
from scaling.training.shape import shape


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_step_is_the_formula(adaptive: bool):
    """By hand in float64: w - rate g(w + e), with e = rho T^2 g / |T g|, of all weights together,
    on two layers, one of them with a cut weight; and a clipped gradient.
    """
    torch.manual_seed(0)
    net = nn.Sequential(Dense(3, 4), nn.Tanh(), Dense(4, 1)).double()
    for weight in net.parameters():
        nn.init.normal_(weight)
    mask = torch.ones(4, 3)
    mask[1, 2] = 0
    net[0].cut(mask)
    x, rho, rate, clip = torch.randn(8, 3).double(), 0.3, 0.1, 0.05
    loss = lambda: net(x).square().mean()  # noqa: E731
    weights = [*net.parameters()]
    begun = [weight.detach().clone() for weight in weights]

    def gradient(at: list[torch.Tensor]) -> list[torch.Tensor]:
        w1, b1, w2, b2 = (value.clone().requires_grad_() for value in at)
        out = torch.tanh(x @ (w1 * mask).T + b1) @ w2.T + b2
        return [*torch.autograd.grad(out.square().mean(), (w1, b1, w2, b2))]

    first = gradient(begun)
    scale = [value.abs() if adaptive else torch.ones_like(value) for value in begun]
    norm = sum(float((t * g).square().sum()) for t, g in zip(scale, first, strict=True)) ** 0.5
    moved = [w + rho * t**2 * g / norm for w, t, g in zip(begun, scale, first, strict=True)]
    second = gradient(moved)
    length = sum(float(g.square().sum()) for g in second) ** 0.5
    share = min(1.0, clip / (length + 1e-6))
    wanted = [w - rate * share * g for w, g in zip(begun, second, strict=True)]
    assert share < 1, "the gradient is clipped, the second one"

    sgd = torch.optim.SGD([{"params": weights, "factor": 1.0}], lr=rate)
    optimizer.step(
        sgd,
        [loss()],
        rate,
        clip,
        lambda all_: sharpness.uphill(all_, rho, adaptive, lambda: [loss()]),
    )
    for found, value in zip(weights, wanted, strict=True):
        torch.testing.assert_close(found.detach(), value, rtol=0, atol=1e-12)
    assert net[0].weight[1, 2] == 0, "what is cut stays cut"
    rows = sharpness.rows_climbed(
        torch.cat([w.flatten() for w in begun])[None],
        torch.cat([g.flatten() for g in first])[None],
        torch.tensor([rho], dtype=torch.float64),
        torch.tensor([adaptive]),
    )
    torch.testing.assert_close(rows[0], torch.cat([w.flatten() for w in moved]), rtol=0, atol=1e-12)


def sharp(trial: Trial, **changes: object) -> Trial:
    stated = {"training.sam": 0.05, "network.dropout": 0.3, "augment.mixup": 0.3, **changes}
    return changed(trial, {"training.epochs": 3, **stated})


def test_both_passes_see_the_same(trial: Trial, store: Store, here: machine.Machine):
    """The same dropped channels; statistics of normalization, and what is measured, from the first
    pass alone.
    """
    steady = changed(trial, {"training.optimizer": "sgd", "network.initialization": "he"})
    plain, tiny = (sharp(steady, **{"training.sam": rho}) for rho in (0, 1e-6))
    sessions = [
        Session(each, Listener(each, store, here), here, None, None) for each in (plain, tiny)
    ]
    for session in sessions:
        session.begin()
        session.update(next(session.steps()))
    alone, both = (session.model.state_dict() for session in sessions)
    for name, value in alone.items():
        if "running" in name or "batches" in name:
            assert torch.equal(both[name], value), name
        else:  # else other channels were dropped
            torch.testing.assert_close(both[name], value, rtol=1e-3, atol=2e-5)


def test_a_resumed_trial_is_undisturbed(trial: Trial, store: Store, here: machine.Machine):
    minimized = sharp(trial, **{"pruning.kind": "static", "pruning.target": 300})
    whole: list[Epoch] = []
    kept: list[dict[str, object]] = []
    for epoch in run(minimized, store, here):
        whole.append(epoch)
        kept.append(torch.load(_saved(epoch.state), weights_only=True))
    again = [*run(minimized, store, here, kept[0])]
    for name, value in whole[-1].state["model"].items():
        assert torch.equal(again[-1].state["model"][name], value), name
    plain = [*islice(run(changed(minimized, {"training.sam": 0}), store, here), 1)]
    first = kept[0]["model"]
    assert any(
        not torch.equal(first[name], value) for name, value in plain[0].state["model"].items()
    )


def _saved(state: object):
    import io

    held = io.BytesIO()
    torch.save(state, held)
    held.seek(0)
    return held


def test_what_sam_does_not_go_with(trial: Trial):
    with pytest.raises(ValueError, match="sam_adaptive=true changes nothing: sam=0"):
        changed(trial, {"training.sam_adaptive": True})
    with pytest.raises(ValueError, match=r"training.sam=0.05: features are computed once a step"):
        changed(trial, {"training.sam": 0.05, "sound.features.trainable": "mel"})
    two = {shape(changed(trial, {"training.sam": rho}), 40) for rho in (0, 0.05, 0.1)}
    assert len(two) == 2, "trials with and without take other steps"
