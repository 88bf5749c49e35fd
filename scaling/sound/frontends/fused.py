"""Fused passes on a GPU: power, bands and logarithm in one pass over the FFT's output.

Each band touches few bins, so bands are summed in groups over the bins that these touch; a floor
below a clip's loudest value is exact, by a maximum that all programs of the clip raise. The plain
path is the twin: before sizes are first computed by Triton, noise goes through both. Where they
differ, or Triton is missing or fails, one line says so and the plain path computes instead.
One frame is one real FFT. Two frames as one complex FFT would move as many bytes, and leave the
rounding of the loud one in the quiet one (at a range of 80 dB twice the error on real clips,
measured).
Contents: `fusible`, `packed`, `fused`, `doubt`, `launched`.
"""

# Shapes as of the package; G groups of bands, K rows of packed weights

import os
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaling import awaited
from scaling.seeds import torch_stream
from scaling.settings import Features
from scaling.sound import cache
from scaling.sound.frontends.plain import QUIETEST, TWOFOLD, Plain

KINDS = ("log_mel", "perceptual")
FRAMES, BANDS, BINS = 32, 16, 32  # of one product of a program
TILE = 1024  # samples of a frame, or values of a clip, of one program
APART = 1e-2  # dB from the plain path, the mean over noise: far more than rounding, less than wrong

_agree: dict[tuple[object, ...], bool] = {}  # by sizes and device: whether Triton computes them
_doubted: list[str] = []  # why nothing is computed by Triton in this process


def fusible(features: Features) -> bool:
    """Whether there is a fused pass for such features."""
    return features.kind in KINDS and features.trainable == "none"


def packed(mel_FQ: NDArray[np.floating[Any]]) -> dict[str, Tensor]:
    """The buffers of the fused pass: of each group of BANDS bands the rows of their weights, and
    its first bin, how many times BINS it touches, and its first row.
    """
    rows: list[NDArray[np.float32]] = []
    groups: list[tuple[int, int, int]] = []
    for at in range(0, len(mel_FQ), BANDS):
        group_FQ = mel_FQ[at : at + BANDS]
        touched = np.flatnonzero(group_FQ.any(axis=0))
        first, count = int(touched[0]), int(touched[-1] - touched[0]) + 1
        tiles = -(-count // BINS)
        weights_KF = np.zeros((tiles * BINS, BANDS), np.float32)
        weights_KF[:count, : len(group_FQ)] = group_FQ[:, first : first + count].T
        groups.append((first, tiles, BINS * sum(each[1] for each in groups)))
        rows.append(weights_KF)
    return {
        "weights_KF": torch.from_numpy(np.concatenate(rows)),
        "groups_G3": torch.tensor(groups, dtype=torch.int32),
    }


def fused(front: Plain, waves_BT: Tensor, plain: Callable[[Tensor], Tensor]) -> Tensor:
    """Features of waves by a front end with the buffers of `packed`; by `plain` where need be."""
    if _doubted:
        return plain(waves_BT)
    f = front.features
    sizes = f.window, f.fft, f.hop, f.mels, waves_BT.shape[1]
    key = (f.kind, f.floor, f.range_db > 0, *sizes, waves_BT.device)
    if key not in _agree:
        if waves_BT.is_cuda and torch.cuda.is_current_stream_capturing():
            return plain(waves_BT)  # nothing may be compiled or waited for now
        _agree[key] = _checked(front, waves_BT, plain)
    return launched(front, waves_BT) if _agree[key] else plain(waves_BT)


def doubt(reason: str) -> None:
    """Let the plain path compute all that follows in this process."""
    _doubted.append(reason)


def _checked(front: Plain, waves_BT: Tensor, plain: Callable[[Tensor], Tensor]) -> bool:
    """Whether Triton and the plain path agree on noise that fades; if not, one line says why."""
    awaited.say(f"compiling the front end ({front.features.kind})")
    samples = waves_BT.shape[1]
    noise_BT = torch.randn(2, samples, generator=torch_stream(0, "fused"))
    noise_BT *= torch.logspace(0, -4, samples) * torch.tensor([[0.3], [0.01]])
    noise_BT = noise_BT.to(waves_BT.device)
    try:
        apart = float((launched(front, noise_BT) - plain(noise_BT)).abs().mean())
        reason = "" if apart <= APART else f"on noise it is {apart:.2g} dB off"
    except torch.OutOfMemoryError:
        raise
    except ImportError:
        reason = "Triton is not installed"
    except Exception as error:  # noqa: BLE001  a compiler fails in any way
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if reason:
        kind = front.features.kind
        warnings.warn(f"kind={kind} is computed without its fused pass: {reason}", stacklevel=2)
    return not reason


def launched(front: Plain, waves_BT: Tensor) -> Tensor:
    """Features of waves by Triton's kernels, which are compiled once for all processes that share
    the cache. Raises whatever a compiler does.
    """
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache.place() / "triton"))
    kernels = import_module("scaling.sound.frontends.fused_kernels")
    mels, frames = front.features.mels, 1 + waves_BT.shape[1] // front.features.hop
    features_BFN = waves_BT.new_empty(len(waves_BT), mels, frames)
    if len(waves_BT):
        with torch.cuda.device(waves_BT.get_device()):  # of a CPU -1, which is none
            frames_BNT = _frames(kernels, front, waves_BT.detach().contiguous(), frames)
            _fill(kernels, front, torch.fft.rfft(frames_BNT).contiguous(), features_BFN)
    return features_BFN


def _frames(kernels: Any, front: Plain, waves_BT: Tensor, frames: int) -> Tensor:
    """Windowed frames: (B, N, size of the FFT)."""
    window_T, features = front.spectrum.get_buffer("window"), front.features
    (clips, samples), size = waves_BT.shape, len(window_T)
    frames_BNT = waves_BT.new_empty(clips, frames, size)
    steps = samples, frames, size, features.window, features.hop
    grid = frames, clips, _blocks(size, TILE)
    kernels.cut_frames[grid](waves_BT, window_T, frames_BNT, *steps, TILE=TILE)
    return frames_BNT


def _fill(kernels: Any, front: Plain, spectrum_BNQ: Tensor, features_BFN: Tensor) -> None:
    """Compute the features of a spectrum."""
    (clips, frames, bins), features = spectrum_BNQ.shape, front.features
    perceptual, ranged = features.kind == "perceptual", features.range_db > 0
    floor, share = features.floor or QUIETEST, 10 ** (-features.range_db / 10)
    spectrum_BNQ = spectrum_BNQ.view(torch.int64)  # a complex number is read at once
    loudest_B = torch.zeros(clips, dtype=torch.int32, device=spectrum_BNQ.device)  # bits of floats
    if perceptual and ranged:
        values = frames * bins
        grid: tuple[int, ...] = _blocks(values, TILE), clips
        kernels.find_loudest[grid](spectrum_BNQ, loudest_B, values, TILE=TILE)
    weights_KF, groups_G3 = front.get_buffer("weights_KF"), front.get_buffer("groups_G3")
    tables = weights_KF, groups_G3, front.weighting_F1, loudest_B
    sizes = frames, bins, features.mels, floor, share, TWOFOLD
    tile = {"FRAMES": FRAMES, "BANDS": BANDS, "BINS": BINS}
    grid = _blocks(frames, FRAMES), len(groups_G3), clips
    kernels.sum_bands[grid](
        spectrum_BNQ, *tables, features_BFN, *sizes, PERCEPTUAL=perceptual, RANGE=ranged, **tile
    )
    if ranged and not perceptual:
        values = features.mels * frames
        grid = _blocks(values, TILE), clips
        kernels.limit_range[grid](features_BFN, loudest_B, values, share, TWOFOLD, TILE=TILE)


def _blocks(values: int, block: int) -> int:
    return -(-values // block)
