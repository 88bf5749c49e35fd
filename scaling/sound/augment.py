"""Augmentations: what happens to training clips. Each is a draw (on the CPU, from a named stream)
and an apply.

A draw is data: it can be logged, repeated for another view, or set by hand in a test. Sources:
Koutini et al. 2021 (roll of the wave, mixup with alpha 0.3), Zhang et al. 2018 (mixup), Iqbal et
al. 2021 (pitch, rooms, masks), Park et al. 2019 (masks). What shifts and reverberates clips is in
`scaling.sound.pitch` and `scaling.sound.rooms`.
"""

# B clips, T samples, F mel bands, N frames, M masks of a clip, Y classes

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Iqbal et al. 2021: what a clip is shifted by, how many rooms, their range of RT60 in seconds.
SEMITONES = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5)
ROOMS = 500
RT60 = (0.2, 1.0)
Kind = Literal["none", "pitch", "reverb", "mask", "combination"]
UNCHANGED = -1  # in place of a shift's or a room's number: the clip as it is
# Widths that their first author's public code for log-mel features of that year takes; the paper
# gives none. Both are uniform from 0 to WIDEST, whatever the number of bands and frames.
BAND_MASKS, FRAME_MASKS, WIDEST = 2, 8, 7


def kinds(*named: Kind) -> set[Kind]:
    """What may happen to clips under these names: a combination is pitch or reverb."""
    both: set[Kind] = {"pitch", "reverb"}
    return {kind for name in named for kind in (both if name == "combination" else {name})}


def draw_roll(stream: np.random.Generator, batch: int, limit: int) -> Tensor:
    """Circular shifts in samples, uniform over [-limit, limit]: (B,) int64."""
    return torch.from_numpy(stream.integers(-limit, limit, size=batch, endpoint=True))


def roll(waves_BT: Tensor, shifts_B: Tensor) -> Tensor:
    """Each wave shifted later by its own number of samples, its end coming back at its start."""
    length = waves_BT.shape[1]
    shifts_B = shifts_B.to(waves_BT.device)
    source_BT = (torch.arange(length, device=waves_BT.device) - shifts_B[:, None]) % length
    return waves_BT.gather(1, source_BT)


def draw_patch(stream: np.random.Generator, batch: int, last: int) -> Tensor:
    """First frames of patches, uniform over [0, last]: (B,) int64."""
    return torch.from_numpy(stream.integers(0, last, size=batch, endpoint=True))


def patch(features_BFN: Tensor, starts_B: Tensor, size: int) -> Tensor:
    """`size` frames of each clip from its own first one on: (B, F, size)."""
    offsets = torch.arange(size, device=features_BFN.device)
    frames_BN = starts_B.to(features_BFN.device)[:, None] + offsets
    rows = features_BFN.shape[1]
    return features_BFN.gather(2, frames_BN[:, None].expand(-1, rows, -1))


def draw_microphone(stream: np.random.Generator, batch: int, share: float, count: int) -> Tensor:
    """Which microphone each clip is heard through: (B,) int64.

    With probability 1 - share none, -1 (`scaling.sound.microphones.RECORDED`), else one of 0 to
    count - 1, all alike.
    """
    heard = stream.random(batch) < share
    return torch.from_numpy(np.where(heard, stream.integers(count, size=batch), -1))


class Mix(NamedTuple):
    """Which clip is mixed into which, and how much of the first stays."""

    weights_B: Tensor  # in [0.5, 1]
    partners_B: Tensor  # a permutation of the batch


def draw_mixup(stream: np.random.Generator, batch: int, alpha: float) -> Mix:
    """One weight per clip from Beta(alpha, alpha), folded to at least a half; one permutation of
    the batch.
    """
    weights = stream.beta(alpha, alpha, size=batch)
    weights = np.maximum(weights, 1 - weights).astype(np.float32)
    return Mix(torch.from_numpy(weights), torch.from_numpy(stream.permutation(batch)))


def mixup(x_B: Tensor, mix: Mix) -> Tensor:
    """weights * x + (1 - weights) * x of the partners; for features and for class probabilities
    alike.
    """
    weights = mix.weights_B.to(x_B.device).view(-1, *[1] * (x_B.dim() - 1))
    return torch.lerp(x_B[mix.partners_B.to(x_B.device)], x_B, weights)


class Masks(NamedTuple):
    """Where each clip's features are masked: first band or frame of each mask, and the one after
    its last.
    """

    bands_BM2: Tensor
    frames_BM2: Tensor


def draw_masks(
    stream: np.random.Generator,
    batch: int,
    bands: int,
    frames: int,
    band_masks: int = BAND_MASKS,
    frame_masks: int = FRAME_MASKS,
    widest: int = WIDEST,
) -> Masks:
    """Masks as wide as chance will have it, 0 to `widest`, wherever they fit; they may overlap."""

    def draw(masks: int, size: int) -> Tensor:
        widths = stream.integers(min(widest, size), size=(batch, masks), endpoint=True)
        starts = stream.integers(size - widths, endpoint=True)
        return torch.from_numpy(np.stack([starts, starts + widths], axis=-1))

    return Masks(draw(band_masks, bands), draw(frame_masks, frames))


def mask(x_BFN: Tensor, masks: Masks, fill: float = 0.0, where_B: Tensor | None = None) -> Tensor:
    """Features with all that is masked set to `fill`; those of where_B (bool) alone, if given.

    Applied to standardized features, so that 0 is the training mean of each band: on dB it would be
    full scale, not silence.
    """

    def hidden(spans_BM2: Tensor, size: int) -> Tensor:
        at = torch.arange(size, device=x_BFN.device)
        starts_BM1, ends_BM1 = spans_BM2.to(x_BFN.device)[..., None].unbind(dim=2)
        return ((starts_BM1 <= at) & (at < ends_BM1)).any(dim=1)

    hidden_BF1 = hidden(masks.bands_BM2, x_BFN.shape[-2])[:, :, None]
    hidden_BFN = hidden_BF1 | hidden(masks.frames_BM2, x_BFN.shape[-1])[:, None, :]
    if where_B is not None:
        hidden_BFN &= where_B.to(x_BFN.device)[:, None, None]
    return x_BFN.masked_fill(hidden_BFN, fill)


class Transform(NamedTuple):
    """What else happens to each clip: at most one of the three."""

    pitch_B: Tensor  # int64: which of SEMITONES, or UNCHANGED
    room_B: Tensor  # int64: which room, or UNCHANGED
    masked_B: Tensor  # bool


def draw_transform(
    stream: np.random.Generator,
    batch: int,
    kind: Kind,
    share: float,
    rooms: int = ROOMS,
) -> Transform:
    """What happens to each clip: with probability 1 - share nothing, else one of its kind.

    All shifts are alike, and so are all of the `rooms` rooms. A combination is either of the two
    (masks are not in it) with equal probability (Iqbal et al. 2021).
    """
    taken = stream.random(batch) < share
    shift, room = stream.integers(len(SEMITONES), size=batch), stream.integers(rooms, size=batch)
    either = stream.random(batch) < 0.5
    shifted = taken & ((kind == "pitch") | ((kind == "combination") & either))
    roomed = taken & ((kind == "reverb") | ((kind == "combination") & ~either))
    return Transform(
        torch.from_numpy(np.where(shifted, shift, UNCHANGED)),
        torch.from_numpy(np.where(roomed, room, UNCHANGED)),
        torch.from_numpy(taken & (kind == "mask")),
    )
