"""How weights move: the schedule, one step of each kind, the penalty, and patience."""

import math
import sys
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from scaling.networks import NETWORKS
from scaling.networks.modules.kernels import Dense
from scaling.settings import Training
from scaling.training import optimizer
from scaling.training.optimizer import Patience, learning_rate


def paper(**changes: object) -> Training:
    settings = {"epochs": 250, "batch": 10, "rate": 1e-4, "warmup": 20, "final": 0.01} | changes
    return Training.model_validate(settings)


def plain(**changes: object) -> Training:
    return Training.model_validate({"epochs": 9, "batch": 4, "rate": 0.1} | changes)


# The learning rate


def test_published_schedule():
    """Factors .0086, .287 and 1 at epochs 0, 10 and 20; 1e-6 in the last; never up again after the
    warm-up.
    """
    rates = [learning_rate(paper(), epoch, 249) for epoch in range(250)]
    assert rates[0] == pytest.approx(0.0086e-4, rel=0.01)
    assert rates[1] == pytest.approx(0.0110e-4, rel=0.01)
    assert rates[10] == pytest.approx(0.287e-4, rel=0.01)
    assert rates[15] == pytest.approx(0.732e-4, rel=0.01)
    assert rates[20] == 1e-4
    assert rates[249] == pytest.approx(1e-6, rel=1e-12)
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert all(a < b for a, b in pairwise(rates[:21]))


def test_geometric_decay():
    """The papers' 0.98 per epoch, and 0.9 every second one: 5e-4 x 0.9^35 in the last of 72."""
    off = {"warmup": 0, "final": 1.0}
    each = paper(**off, epochs=40, rate=1e-3, decay=0.98)
    assert [learning_rate(each, e, 39) for e in (0, 1, 39)] == pytest.approx(
        [1e-3, 0.98e-3, 0.98**39 * 1e-3]
    )
    second = paper(**off, epochs=72, rate=5e-4, decay=0.9, decay_every=2)
    assert learning_rate(second, 1.5, 71) == 5e-4
    assert learning_rate(second, 71, 71) == pytest.approx(1.25e-5, rel=0.01)


def test_schedules_that_are_off():
    assert learning_rate(paper(warmup=0, final=1.0), 0, 249) == 1e-4
    assert learning_rate(paper(warmup=0, final=1.0), 249, 249) == 1e-4
    assert learning_rate(paper(warmup=0, epochs=1), 0, 0) == 1e-4


# One step


def layers() -> nn.ModuleDict:
    """Two dense layers, whose weights and biases are 1 to 6 and 7 to 12."""
    model = nn.ModuleDict({"old": Dense(2, 2), "new": Dense(2, 2)})
    numbers = iter(torch.arange(1.0, 13.0))
    with torch.no_grad():
        for values in model.parameters():
            for place in values.view(-1):
                place.copy_(next(numbers))
    return model


def pulls(model: nn.Module) -> list[Tensor]:
    """Two losses, whose gradients are 1 and 2 everywhere: 3 in all, a norm of 3 sqrt(12)."""
    return [factor * sum(values.sum() for values in model.parameters()) for factor in (1, 2)]


def moved(model: nn.Module) -> dict[str, Tensor]:
    """How far each parameter is from where it began."""
    began = dict(layers().named_parameters())
    return {name: values.detach() - began[name] for name, values in model.named_parameters()}


@pytest.mark.parametrize("clip", [0.0, 100.0])
def test_a_plain_step_is_rate_times_gradient(clip: float):
    model = layers()
    optimizer.step(optimizer.build(model, plain(optimizer="sgd")), pulls(model), 0.25, clip)
    for step in moved(model).values():
        assert torch.equal(step, torch.full_like(step, -0.25 * 3))


def test_what_is_taken_over_moves_by_its_share():
    model = layers()
    built = optimizer.build(model, plain(optimizer="sgd"), {"old.weight", "old.bias"}, 0.125)
    named = [values for group in built.param_groups for values in group["params"]]
    assert sorted(map(id, named)) == sorted(map(id, model.parameters())), "each of them once"
    for times in (1, 2):  # the share is of every step's rate
        optimizer.step(built, pulls(model), 0.25, 0.0)
        for name, step in moved(model).items():
            share = 0.125 if name.startswith("old") else 1.0
            assert torch.equal(step, torch.full_like(step, -0.25 * 3 * share * times))


def test_a_long_gradient_is_cut_to_its_norm():
    """Over all parameters at once, whatever their rates."""
    model = layers()
    built = optimizer.build(model, plain(optimizer="sgd"), {"old.weight", "old.bias"}, 1.0)
    optimizer.step(built, pulls(model), 1.0, 0.5)
    whole = torch.cat([step.flatten() for step in moved(model).values()]).detach()
    assert float(whole.norm()) == pytest.approx(0.5, rel=1e-5)
    assert torch.allclose(whole, whole[0].expand(12))


@pytest.mark.parametrize(
    ("name", "kind", "epsilon"),
    [("adam", torch.optim.Adam, 0.5), ("adamw", torch.optim.AdamW, 1e-8)],
)
def test_steps_are_torchs(
    name: str,
    kind: type[torch.optim.Optimizer],
    epsilon: float,
    monkeypatch: pytest.MonkeyPatch,
):
    """Without torch.compile, which torch's own import."""
    model, twin = layers(), layers()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch._dynamo", None)
        built = optimizer.build(model, plain(optimizer=name, weight_decay=0.01, epsilon=epsilon))
        for _ in range(3):
            optimizer.step(built, pulls(model), 0.1, 0.0)
            built.load_state_dict(built.state_dict())
    peer = kind(twin.parameters(), lr=0.1, weight_decay=0.01, eps=epsilon)
    for _ in range(3):
        peer.zero_grad()
        sum(pulls(twin)).backward()
        peer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6)


# The penalty


def test_the_penalty_is_half_the_squares_of_kernels():
    model = layers()
    kernels = [1, 2, 3, 4, 7, 8, 9, 10]  # 5, 6, 11 and 12 are biases
    found = optimizer.penalty(model)
    assert found.item() == sum(weight**2 for weight in kernels) / 2
    found.backward()
    for layer in model.values():
        assert torch.equal(layer.weight.grad, layer.weight)
        assert layer.bias.grad is None


@pytest.mark.parametrize("kind", ["vgg5", "sb_cnn", "timbre", "cp_resnet"])
def test_no_bias_and_no_normalization_is_penalized(kind: str):
    settings = NETWORKS[kind](width=2)
    model = settings.build(3, torch.Generator().manual_seed(0), size=(128, 128))
    with torch.no_grad():
        for values in model.parameters():
            values.add_(0.5)
    several = [values for values in model.parameters() if values.ndim > 1]
    assert len(several) < len([*model.parameters()])
    by_hand = sum(float(values.detach().double().square().sum()) for values in several) / 2
    assert optimizer.penalty(model).item() == pytest.approx(by_hand, rel=1e-5)


# Patience


@pytest.mark.parametrize(
    ("counts", "worse"),
    [("consecutive", [0, 0, 1, 2, 0, 1, 2, 3]), ("all", [0, 0, 1, 2, 2, 3, 4, 5])],
)
def test_patience_by_hand(counts: str, worse: list[int]):
    accuracies = [0.0, 0.5, 0.5, 0.4, 0.6, 0.6, 0.1, 0.6]
    patience, found = Patience(), []
    assert patience == (-math.inf, 0)
    for accuracy in accuracies:
        patience = patience.after(accuracy, plain(patience=3, patience_counts=counts))
        found.append(patience.worse)
    assert found == worse
    assert patience.best == 0.6
