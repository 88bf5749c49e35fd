"""Losses against their closed forms and against torch's own."""

import math

import pytest
import torch
from torch import distributions
from torch.nn import functional

from scaling.networks.modules.output import Output
from scaling.objectives.bottleneck import Bottleneck
from scaling.objectives.consistency import Consistency
from scaling.objectives.cross_entropy import CrossEntropy
from scaling.objectives.modules.losses import divergence, jensen_shannon

PLAIN = CrossEntropy()


def output(logits_BY: torch.Tensor, **more: torch.Tensor) -> Output:
    return Output(logits_BY, torch.empty(0), **more)


def some_targets(batch: int = 6, classes: int = 4) -> torch.Tensor:
    return torch.rand(batch, classes).softmax(1)


def test_cross_entropy_is_torchs():
    logits_BY, labels_B = torch.randn(6, 4), torch.randint(4, (6,))
    targets_BY = functional.one_hot(labels_B, 4).float()
    parts, measured = PLAIN.loss([output(logits_BY)], targets_BY, 0)
    assert parts.keys() == {"cross_entropy"}
    assert not measured
    assert torch.allclose(parts["cross_entropy"], functional.cross_entropy(logits_BY, labels_B))


def test_views_are_averaged():
    a, b, targets_BY = torch.randn(6, 4), torch.randn(6, 4), some_targets()
    both = PLAIN.loss([output(a), output(b)], targets_BY, 0).parts["cross_entropy"]
    each = [PLAIN.loss([output(x)], targets_BY, 0).parts["cross_entropy"] for x in (a, b)]
    assert torch.allclose(both, (each[0] + each[1]) / 2)


def test_half_precision_logits_lose_nothing_in_the_loss():
    logits_BY = torch.randn(6, 4).bfloat16()
    parts, _ = PLAIN.loss([output(logits_BY)], some_targets(), 0)
    assert parts["cross_entropy"].dtype == torch.float32


def test_divergence_is_torchs():
    mean_BK, deviation_BK = torch.randn(5, 7), torch.rand(5, 7) + 0.01
    ours = divergence(mean_BK, deviation_BK)
    normal = distributions.Normal(torch.zeros(7), torch.ones(7))
    theirs = distributions.kl_divergence(distributions.Normal(mean_BK, deviation_BK), normal)
    assert torch.allclose(ours, theirs.sum(dim=1).mean(), rtol=1e-5)


@pytest.mark.parametrize(("offset", "nats"), [(5.0, 4.503), (0.0, 0.107)])
def test_divergence_of_a_fresh_bottleneck(offset: float, nats: float):
    """With the public code's offset of 5 every dimension begins at 4.503 nats, without at 0.107."""
    deviation = functional.softplus(torch.tensor(-offset))
    assert float(divergence(torch.zeros(3, 20), deviation.expand(3, 20))) == pytest.approx(
        20 * nats, abs=0.02
    )


def test_beta_weighs_the_divergence_only():
    logits_BY, targets_BY = torch.randn(6, 4), some_targets()
    gaussian = {"mean_BK": torch.randn(6, 3), "deviation_BK": torch.rand(6, 3) + 0.1}
    settings = Bottleneck(latent=3, beta=0.02)
    parts, measured = settings.loss([output(logits_BY, **gaussian)], targets_BY, 0)
    plain = PLAIN.loss([output(logits_BY)], targets_BY, 0).parts["cross_entropy"]
    assert torch.equal(parts["cross_entropy"], plain)
    assert torch.allclose(parts["weighted_divergence"], 0.02 * measured["divergence"])
    assert torch.allclose(measured["divergence"], divergence(*gaussian.values()))


def slow_jensen_shannon(logits: list[torch.Tensor]) -> torch.Tensor:
    """By its definition, in float64."""
    views = [each.double().softmax(1) for each in logits]
    mixture = sum(views) / len(views)
    each = [(p * (p / mixture).log()).nan_to_num(0.0).sum(1) for p in views]
    return (sum(each) / len(each)).mean()


def test_jensen_shannon_is_its_definition():
    logits = [3 * torch.randn(8, 10) for _ in range(3)]
    assert float(jensen_shannon(logits)) == pytest.approx(
        float(slow_jensen_shannon(logits)), rel=1e-5
    )


def test_jensen_shannon_lies_between_0_and_the_logarithm_of_the_views():
    same = torch.randn(8, 10)
    assert float(jensen_shannon([same, same, same])) == pytest.approx(0, abs=1e-6)
    certain = [1e4 * functional.one_hot(torch.full((8,), k), 10).float() for k in range(3)]
    assert float(jensen_shannon(certain)) == pytest.approx(math.log(3), rel=1e-6)


def test_all_views_get_a_gradient():
    logits = [torch.randn(8, 10, requires_grad=True) for _ in range(3)]
    jensen_shannon(logits).backward()
    for each in logits:
        assert each.grad is not None
        assert each.grad.abs().sum() > 0
        assert torch.isfinite(each.grad).all()
    extreme = [torch.full((2, 3), -1e4, requires_grad=True) for _ in range(3)]
    jensen_shannon(
        [e.index_fill(1, torch.tensor([k]), 1e4) for k, e in enumerate(extreme)]
    ).backward()
    assert all(torch.isfinite(e.grad).all() for e in extreme if e.grad is not None)


@pytest.mark.parametrize(
    ("epoch", "ramp", "weight"),
    [(0, 10, 0.0), (4, 10, 2.0), (10, 10, 5.0), (99, 10, 5.0), (0, 0, 5.0)],
)
def test_the_weight_grows_to_its_whole(epoch: int, ramp: int, weight: float):
    views, targets_BY = [output(torch.randn(6, 4)) for _ in range(3)], some_targets()
    settings = Consistency(weight=5, ramp=ramp)
    parts, measured = settings.loss(views, targets_BY, epoch)
    assert torch.allclose(parts["weighted_disagreement"], weight * measured["disagreement"])
    plain = PLAIN.loss(views, targets_BY, 0).parts["cross_entropy"]
    assert torch.equal(parts["cross_entropy"], plain)


def test_without_weight_it_is_batched_augmentation():
    views, targets_BY = [output(torch.randn(6, 4)) for _ in range(3)], some_targets()
    parts, measured = Consistency().loss(views, targets_BY, 5)
    assert parts.keys() == {"cross_entropy"}
    assert measured.keys() == {"disagreement"}
