import numpy as np
import pytest
import torch

from scaling.seeds import key, stream, torch_stream


def test_same_name_same_draws():
    assert (stream(1, "roll", 3).random(5) == stream(1, "roll", 3).random(5)).all()
    draws = [torch.randn(5, generator=torch_stream(1, "initialization")) for _ in range(2)]
    assert torch.equal(*draws)


@pytest.mark.parametrize(
    "other", [(2, "roll", 3), (1, "order", 3), (1, "roll", 4), (1, "roll"), (1, "roll", "3")]
)
def test_every_word_counts(other: tuple[int | str, ...]):
    assert key(*other) != key(1, "roll", 3)  # type: ignore[arg-type]
    assert (stream(*other).random(5) != stream(1, "roll", 3).random(5)).all()  # type: ignore[arg-type]


def test_words_do_not_run_together():
    assert key(1, "ab", "c") != key(1, "a", "bc")
    assert key(12, "x") != key(1, "2x")


def test_pinned():
    """On every machine the same, for ever: else records cannot be compared."""
    assert key(0, "order", 0) == 226848836959167391114687466458809449966
    assert stream(0, "order", 0).permutation(8).tolist() == [0, 2, 3, 5, 7, 1, 4, 6]


def test_streams_are_unrelated():
    draws = np.array([stream(seed, "roll").random(200) for seed in range(20)])
    correlation = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() < 0.3
