import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from scaling import evaluate
from scaling.networks.output import Output


class Echo(nn.Module):
    """Says what it hears; in training mode, nonsense."""

    def forward(self, x: torch.Tensor) -> Output:
        return Output(x if not self.training else x * float("nan"), x)


def test_every_clip_is_scored_once_in_order():
    logits = torch.randn(150, 3)  # two full batches of 64 and a rest
    clips = np.arange(150)[::-1].copy()
    model = Echo().train()
    found = evaluate.predict(model, lambda rows: logits[rows], clips)
    assert torch.equal(found, logits.flip(0))
    assert model.training


def test_scores_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])
    targets = np.array([0, 0, 1, 0])
    devices = pd.Series(["a", "b", "b", "a"])
    rows = {
        (r["device"], r["metric"]): r["value"] for r in evaluate.scores(logits, targets, devices)
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
    rows = evaluate.scores(torch.randn(3, 2), np.zeros(3, int), pd.Series(["", "", ""]))
    assert {row["device"] for row in rows} == {"all"}


def test_predictions_name_what_was_heard():
    table = pd.DataFrame({"clip": ["x", "y"], "device": ["a", ""], "label": ["cat", "dog"]})
    logits, targets = torch.tensor([[0.0, 1.0], [0.0, 2.0]]), np.array([0, 1])
    rows = list(evaluate.predictions(logits, ("cat", "dog"), targets, table))
    assert [row["predicted"] for row in rows] == ["dog", "dog"]
    assert rows[0]["clip"] == "x"
    assert rows[1]["logits"].tolist() == [0.0, 2.0]
