import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from scaling.networks.modules.output import Output
from scaling.training import evaluation


class Echo(nn.Module):
    """Says what it hears; in training mode, nonsense."""

    def forward(self, x: torch.Tensor) -> Output:
        return Output(x if not self.training else x * float("nan"), x)


def answers(model: nn.Module, scoring: evaluation.Scoring[torch.Tensor]) -> torch.Tensor:
    return evaluation.answered(scoring, partial(evaluation.logits, model))


def test_every_clip_is_scored_once_in_order():
    logits = torch.randn(150, 3)  # two full batches of 64 and a rest
    clips = np.arange(150)[::-1].copy()
    found = answers(Echo().train(), evaluation.scoring(lambda rows: logits[rows][:, None], clips))
    assert torch.equal(found, logits.flip(0))


# Patches of a clip

WAYS = ("probabilities", "logarithms", "votes")
ODDS = torch.tensor([[[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]]])
SHIFTS = torch.tensor([[[3.0], [-50.0], [0.25], [700.0]]])  # logits that say the same


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("probabilities", [1.8 / 4, 1.6 / 4, 0.6 / 4]),
        (
            "logarithms",
            [(0.8 * 0.2 * 0.5 * 0.3) ** 0.25, (0.1 * 0.5 * 0.4 * 0.6) ** 0.25, 3e-4**0.25],
        ),
        ("votes", [2 / 4, 2 / 4, 0.5 / 4]),
    ],
)
def test_a_clip_is_answered_by_all_of_its_patches(votes: str, expected: list[float]):
    logits_BPY = torch.cat([ODDS, ODDS.flip(1), ODDS[:, :, [2, 0, 1]]]).log() + SHIFTS
    found = evaluation.pooled(logits_BPY, votes)
    assert found[0].tolist() == pytest.approx([math.log(each) for each in expected], rel=1e-4)
    assert torch.allclose(found[1], found[0]), "whatever their order"
    assert torch.allclose(found[2], found[0, [2, 0, 1]])


def test_the_three_ways_differ_where_patches_do():
    """Two patches that hardly prefer one class, and one that is sure of the other."""
    logits_BPY = torch.tensor([[[0.1, 0.0], [0.1, 0.0], [0.0, 2.0]]])
    best = {votes: int(evaluation.pooled(logits_BPY, votes).argmax()) for votes in WAYS}
    assert best == {"probabilities": 1, "logarithms": 1, "votes": 0}
    unlikely = torch.tensor([[[5.0, 0.0], [5.0, 0.0], [0.0, 20.0]]])
    best = {votes: int(evaluation.pooled(unlikely, votes).argmax()) for votes in WAYS}
    assert best == {"probabilities": 0, "logarithms": 1, "votes": 0}


@pytest.mark.parametrize("votes", WAYS)
def test_the_answer_of_one_patch_is_the_clips(votes: str):
    logits_BPY = torch.randn(4, 1, 3)
    assert torch.equal(evaluation.pooled(logits_BPY, votes), logits_BPY[:, 0])


def test_patches_are_pooled_clip_by_clip():
    """More of them than fit at once: 70 clips of 5 patches."""
    logits_BPY = torch.randn(70, 5, 3, generator=torch.Generator().manual_seed(0))
    clips = np.arange(70)[::-1].copy()
    for votes in WAYS:
        found = answers(Echo(), evaluation.scoring(lambda rows: logits_BPY[rows], clips, votes))
        assert torch.equal(found, evaluation.pooled(logits_BPY, votes).flip(0))


def test_macro_f1_is_scikit_learns():
    """To the bit, as it stands in records."""
    random = np.random.default_rng(0)
    for clips in (1, 2, 5, 40, 300):
        for classes in (2, 3, 10, 50):
            targets, said = random.integers(0, classes, (2, clips))
            theirs = f1_score(targets, said, average="macro", zero_division=0)
            assert evaluation.macro_f1(targets, said) == theirs


def test_scores_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    targets = np.array([0, 0, 1, 0])
    devices = pd.Series(["a", "b", "b", "a"])
    rows = {
        (r.device, r.metric): r.value for r in evaluation.scores("seen", logits, targets, devices)
    }
    assert rows["all", "accuracy"] == 0.5
    assert rows["a", "accuracy"] == 1.0
    assert rows["b", "accuracy"] == 0.0
    # class 0: 2 of 3 answers right, 2 of 3 found; class 1: none
    assert rows["all", "macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert rows["a", "macro_f1"] == 1.0
    losses = [np.log1p(np.exp(-2)), np.log1p(np.exp(1)), np.log1p(np.exp(3)), np.log(2)]
    assert rows["all", "loss"] == pytest.approx(np.mean(losses))
    assert rows["a", "loss"] == pytest.approx((losses[0] + losses[3]) / 2)


def test_unnamed_devices_have_no_row_of_their_own():
    rows = evaluation.scores("seen", torch.randn(3, 2), np.zeros(3, int), pd.Series(["", "", ""]))
    assert {row.device for row in rows} == {"all"}


def test_predictions_name_what_was_heard():
    table = pd.DataFrame({"clip": ["x", "y"], "device": ["a", ""], "label": ["cat", "dog"]})
    logits, targets = torch.tensor([[0.0, 1.0], [0.0, 2.0]]), np.array([0, 1])
    rows = list(evaluation.predictions("seen", logits, ("cat", "dog"), targets, table))
    assert [row.predicted for row in rows] == ["dog", "dog"]
    assert rows[0].clip == "x"
    assert rows[1].logits.tolist() == [0.0, 2.0]
