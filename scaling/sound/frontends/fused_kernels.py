"""Triton kernels of the fused pass: frames from waves, features from the FFT's output.

Each index is checked against a mask; what is not finite becomes NaN, which spreads as in torch. The
maxima of clips are kept as the bits of floats that are not negative, whose order is that of
integers, NaN last. Imported by scaling.sound.frontends.fused alone, where there is Triton.
"""

# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs
# Shapes as of the package; G groups of bands, K rows of packed weights

import triton
import triton.language as tl

ALL: tl.constexpr = tl.constexpr(tl.PropagateNan.ALL)
INFINITE: tl.constexpr = tl.constexpr(float("inf"))


@triton.jit(do_not_specialize_on_alignment=["waves_BT"])  # any rows of a batch
def cut_frames(
    waves_BT,
    window_T,
    frames_BNT,
    samples,
    frames,
    size,
    window,
    hop,
    TILE: tl.constexpr,
):
    """Windowed frames of waves whose edges are reflected, zeros after the window.

    One program for TILE samples of a frame: (N, B, tiles).
    """
    frame, clip = tl.program_id(0), tl.program_id(1).to(tl.int64)
    at = tl.program_id(2) * TILE + tl.arange(0, TILE)
    source = tl.abs(frame * hop + at - window // 2)
    source = tl.where(source < samples, source, 2 * samples - 2 - source)
    wave = tl.load(waves_BT + clip * samples + source, mask=at < window, other=0.0)
    gain = tl.load(window_T + at, mask=at < window, other=0.0)
    tl.store(frames_BNT + (clip * frames + frame) * size + at, wave * gain, mask=at < size)


@triton.jit
def _power(bins):
    """|z|^2 of complex numbers that were loaded as 64 bits."""
    real = bins.to(tl.int32).to(tl.float32, bitcast=True)
    imaginary = (bins >> 32).to(tl.int32).to(tl.float32, bitcast=True)
    power = real * real + imaginary * imaginary
    return tl.where(power < INFINITE, power, float("nan"))


@triton.jit
def _raise(loudest_B, clip, values):
    """Take the largest of these values into a clip's maximum; a NaN is the largest."""
    values = tl.where(values == values, values, float("nan"))  # one of positive sign
    tl.atomic_max(loudest_B + clip, tl.max(tl.ravel(values.to(tl.int32, bitcast=True)), axis=0))


@triton.jit
def find_loudest(spectrum_BNQ, loudest_B, values, TILE: tl.constexpr):
    """The largest power of each clip, of so many values. One program for a TILE: (tiles, B)."""
    clip = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    bins = tl.load(spectrum_BNQ + clip * values + at, mask=at < values, other=0)
    _raise(loudest_B, clip, _power(bins))


@triton.jit
def sum_bands(
    spectrum_BNQ,
    weights_KF,
    groups_G3,
    added_F,
    loudest_B,
    features_BFN,
    frames,
    bins,
    mels,
    floor,
    share,
    twofold,
    PERCEPTUAL: tl.constexpr,
    RANGE: tl.constexpr,
    FRAMES: tl.constexpr,
    BANDS: tl.constexpr,
    BINS: tl.constexpr,
):
    """Bins to bands: decibels, or with a RANGE, unless PERCEPTUAL, powers and each clip's largest.

    One program for FRAMES of a clip and BANDS that lie side by side, over the few bins that these
    touch: (frame blocks, G, B).
    """
    group, clip = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first = tl.load(groups_G3 + 3 * group)
    tiles = tl.load(groups_G3 + 3 * group + 1)
    row = tl.load(groups_G3 + 3 * group + 2)
    frame = tl.program_id(0) * FRAMES + tl.arange(0, FRAMES)
    band = tl.arange(0, BANDS)
    from_N = spectrum_BNQ + (clip * frames + frame) * bins
    lowest = floor
    if PERCEPTUAL and RANGE:
        loudest = tl.load(loudest_B + clip).to(tl.float32, bitcast=True)
        lowest = tl.maximum(floor, loudest * share, propagate_nan=ALL)
    sums = tl.zeros((FRAMES, BANDS), tl.float32)
    for tile in range(0, tiles):
        step = tile * BINS + tl.arange(0, BINS)
        there = (frame < frames)[:, None] & (first + step < bins)[None, :]
        heard = _power(tl.load(from_N[:, None] + (first + step)[None, :], mask=there, other=0))
        if PERCEPTUAL:
            heard = tl.log2(tl.maximum(heard, lowest, propagate_nan=ALL))
        weights = tl.load(weights_KF + (row + step)[:, None] * BANDS + band[None, :])
        sums = tl.dot(heard, weights, sums, input_precision="ieee")
    band += group * BANDS
    if PERCEPTUAL:
        sums = twofold * sums + tl.load(added_F + band, mask=band < mels, other=0.0)[None, :]
    else:
        sums = tl.maximum(sums, floor, propagate_nan=ALL)
        if RANGE:
            _raise(loudest_B, clip, sums)
        else:
            sums = twofold * tl.log2(sums)
    to = features_BFN + (clip * mels + band)[None, :] * frames + frame[:, None]
    tl.store(to, sums, mask=(frame < frames)[:, None] & (band < mels)[None, :])


@triton.jit
def limit_range(features_BFN, loudest_B, values, share, twofold, TILE: tl.constexpr):
    """Powers to decibels, none below a clip's loudest times `share`, in place: (tiles, B)."""
    clip = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    place = features_BFN + clip * values + at
    power = tl.load(place, mask=at < values, other=1.0)
    lowest = tl.load(loudest_B + clip).to(tl.float32, bitcast=True) * share
    decibels = twofold * tl.log2(tl.maximum(power, lowest, propagate_nan=ALL))
    tl.store(place, decibels, mask=at < values)
