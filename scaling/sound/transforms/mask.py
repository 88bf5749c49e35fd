"""Mask: bands and frames of a clip's features, hidden by the training mean of each band.

Source: Park et al. 2019, as Iqbal et al. 2021 mask. Contents: Masks, `draw_masks`, `mask`, Mask.
"""

# B clips, F mel bands, N frames, M masks of a clip

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.sound.transforms.transform import Batch, Transform

# Widths that the public log-mel code of Iqbal et al.'s first author takes; the paper gives none.
# Both are uniform from 0 to WIDEST, whatever the number of bands and frames.
BAND_MASKS, FRAME_MASKS, WIDEST = 2, 8, 7


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


class Mask(Transform):
    """New masks for each chosen clip."""

    changes = "features"

    def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
        """Masks are drawn for all clips of a batch, that each draws the same whatever is chosen."""
        return mask(x_B, draw_masks(batch.stream, *x_B.shape), where_B=batch.chosen_B)
