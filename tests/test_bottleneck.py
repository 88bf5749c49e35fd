"""The bottleneck: its size, its sample in training and its mean in evaluation, on every network."""

import io

import pytest
import torch

from scaling import machine
from scaling.networks.cost import count
from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.stochastic import reseed
from scaling.networks.vib_cnn import VIBCNN
from scaling.objectives import bottleneck
from scaling.objectives.modules.bottleneck import BottleneckHead
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import classifier
from scaling.training.methods import run

VIB = {
    "objective.kind": "bottleneck",
    "objective.latent": 5,
    "objective.beta": 1e-2,
    "network.depth": 0,
    "network.pointwise": 0,
}
KINDS = ("cp_resnet", "vib_cnn", "vgg9")
# classes, frames: K = 20, 50, 100, 200; the published network read literally (facts, section A3)
PUBLISHED = {
    (10, 201): (8_723_066, 20_147_426, 39_188_026, 77_269_226),
    (50, 251): (10_963_906, 25_749_466, 50_392_066, 99_677_266),
    (7, 101): (4_243_003, 8_947_273, 16_787_723, 32_468_623),
    (15, 501): (22_163_171, 53_747_681, 106_388_531, 211_670_231),
}


@pytest.mark.parametrize(("classes", "frames"), PUBLISHED)
def test_published_sizes(classes: int, frames: int):
    network = VIBCNN(width=32, flatten=True)
    for latent, parameters in zip((20, 50, 100, 200), PUBLISHED[classes, frames], strict=True):
        bound = bottleneck.Bottleneck(latent=latent)
        whole = [*network.layers(2 * latent), *bound.head_layers(classes)]
        assert count(whole, (40, frames)).parameters == parameters


def built(trial: Trial, kind: str, **more: object) -> BottleneckHead:
    settings = {**VIB, "network.kind": kind, "sound.features.mels": 64, **more}
    network = classifier.network(changed(trial, settings), 4, torch_stream(0, "t"))
    assert isinstance(network, BottleneckHead)
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_arithmetic_is_the_built_network(trial: Trial, kind: str):
    settings = {**VIB, "network.kind": kind, "sound.features.mels": 64, "sound.features.hop": 256}
    settings |= {"objective.offset": 5}
    vib = changed(trial, settings)
    network = classifier.network(vib, 4, torch_stream(0, "t"))
    parameters = sum(p.numel() for p in network.parameters())
    assert sizes.cost(vib, 4).parameters == parameters
    out = network.eval()(torch.randn(2, 1, *vib.sound.shape))
    assert out.logits_BY.shape == (2, 4)
    assert out.mean_BK.shape == out.deviation_BK.shape == (2, 5)
    assert (out.deviation_BK > 0).all()


def test_evaluation_answers_with_the_mean(trial: Trial):
    network = built(trial, "vgg9").eval()
    x_BCFN = torch.randn(3, 1, 64, 32)
    out = network(x_BCFN)
    assert torch.equal(out.logits_BY, network.answer(out.mean_BK))
    assert torch.equal(out.logits_BY, network(x_BCFN).logits_BY)


def test_training_answers_with_a_sample(trial: Trial):
    """Of the stated Gaussian: over many draws, its mean and its deviation."""
    network = built(trial, "vib_cnn").train()
    reseed(network, lambda name: torch_stream(1, name))
    x_BCFN = torch.randn(1, 1, 64, 64)
    samples = []
    network.answer = torch.nn.Identity()  # type: ignore[assignment]
    for _ in range(2000):
        out = network(x_BCFN)
        samples.append(out.logits_BY)
    drawn = torch.cat(samples)
    assert torch.allclose(drawn.mean(0), out.mean_BK[0], atol=0.08)
    assert torch.allclose(drawn.std(0), out.deviation_BK[0], rtol=0.08)


def test_a_sample_comes_from_the_stream_it_is_given(trial: Trial):
    network = built(trial, "vib_cnn").train()
    x_BCFN = torch.randn(2, 1, 64, 64)
    with pytest.raises(AssertionError, match="reseed"):
        network(x_BCFN)
    answers = []
    for seed in (1, 1, 2):
        reseed(network, lambda name, seed=seed: torch_stream(seed, name))
        answers.append(network(x_BCFN).logits_BY)
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_trained_and_resumed_on_every_network(
    trial: Trial, store: Store, kind: str, dropout: float
):
    """Its terms are recorded apart, and a trial cut in two is one that was not."""
    here = machine.here("cpu", "float32", 1)
    settings = {**VIB, "network.kind": kind, "network.dropout": dropout}
    vib = changed(trial, {**settings, "sound.features.hop": 256, "training.epochs": 2})
    whole = list(run(vib, store, here))
    values = {r.metric: r.value for r in whole[-1].metrics if r.split == "train"}
    assert values["divergence"] > 0
    assert values["weighted_divergence"] == pytest.approx(1e-2 * values["divergence"], rel=1e-4)
    total = values["cross_entropy"] + values["weighted_divergence"]
    assert values["loss"] == pytest.approx(total)
    first = next(run(vib, store, here)).state
    saved = io.BytesIO()
    torch.save(first, saved)
    again = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    (last,) = run(vib, store, here, again)
    for name, value in whole[-1].state["model"].items():
        assert torch.equal(value, last.state["model"][name]), name


@pytest.mark.parametrize("kind", ["cp_resnet", "vgg9", "vib_cnn", "vgg5", "sb_cnn"])
@pytest.mark.parametrize("behind", [{}, {n: v for n, v in VIB.items() if "objective" in n}])
def test_layers_have_one_name(trial: Trial, kind: str, behind: dict[str, object]):
    """In the cost, in the module tree and in the state, with a head behind them or without."""
    size = {"sound.features.mels": 64, "sound.features.hop": 128}
    each = changed(trial, {"network.kind": kind, **size, **behind})
    network = classifier.network(each, 4, torch_stream(0, "t"))
    costs = {part.name: part.weights for part in sizes.cost(each, 4).parts}
    built = {n: m.weight for n, m in network.named_modules() if isinstance(m, Prunable)}
    assert {name: weight.numel() for name, weight in built.items()} == costs
    assert {f"{name}.weight" for name in costs} <= network.state_dict().keys()
