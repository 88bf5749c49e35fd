"""What every network says of a batch: the logits, and the map that they are read from.

Contents: Output, `described`, `by_view`.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes,
# K dimensions of a bottleneck, E of an embedding

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """What a network says of a batch."""

    logits_BY: Tensor
    features_BCFN: Tensor  # the last map: what is pooled over, or flattened, before the classes
    mean_BK: Tensor | None = None  # of a bottleneck's Gaussian
    deviation_BK: Tensor | None = None
    embedding_BE: Tensor | None = None  # of a network that was made to be read one layer early


def described(output: Output) -> Tensor:
    """What a network makes of its input before its last layer: its embedding, or its last map's
    mean: (B, E).
    """
    if output.embedding_BE is not None:
        return output.embedding_BE
    return output.features_BCFN.mean(dim=(2, 3))


def by_view(whole: Output, count: int) -> list[Output]:
    """The output for each of so many views that follow each other in a batch."""
    parts = [[None] * count if each is None else each.chunk(count) for each in whole]
    return [Output(*each) for each in zip(*parts, strict=True)]
