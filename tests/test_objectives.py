import torch
from torch.nn import functional

from scaling import config
from scaling.networks.cp_resnet import Output
from scaling.objectives import OBJECTIVES, cross_entropy


def output(logits_BY: torch.Tensor) -> Output:
    return Output(logits_BY, torch.empty(0))


def test_every_kind_that_can_be_stated_exists():
    kinds = config.Objective.model_json_schema()["properties"]["kind"]
    assert set(OBJECTIVES) == set(kinds.get("enum", [kinds.get("const")]))


def test_cross_entropy_is_torchs():
    logits_BY, labels_B = torch.randn(6, 4), torch.randint(4, (6,))
    targets_BY = functional.one_hot(labels_B, 4).float()
    parts = cross_entropy([output(logits_BY)], targets_BY, config.Objective(), 0)
    assert parts.keys() == {"cross_entropy"}
    assert torch.allclose(parts["cross_entropy"], functional.cross_entropy(logits_BY, labels_B))


def test_views_are_averaged():
    a, b = torch.randn(6, 4), torch.randn(6, 4)
    targets_BY = torch.rand(6, 4).softmax(1)
    both = cross_entropy([output(a), output(b)], targets_BY, config.Objective(), 0)
    each = [
        cross_entropy([output(x)], targets_BY, config.Objective(), 0)["cross_entropy"]
        for x in (a, b)
    ]
    assert torch.allclose(both["cross_entropy"], sum(each) / 2)  # type: ignore[arg-type]


def test_half_precision_logits_lose_nothing_in_the_loss():
    logits_BY = torch.randn(6, 4).bfloat16()
    targets_BY = torch.rand(6, 4).softmax(1)
    assert (
        cross_entropy([output(logits_BY)], targets_BY, config.Objective(), 0)["cross_entropy"].dtype
        == torch.float32
    )
