"""Pitch: copies of a store's clips, each shifted up and down, made once and read like the store.

A phase vocoder stretches the clip by 2^(semitones / 12), and soxr resamples it back to its length.
That keeps the resampler away from the awkward integer ratios that make torchaudio's pitch_shift
slow. Iqbal et al. 2021 shift so, by SEMITONES; with which tool they do not say. Conventions:
- The window is a Hann window of the power of two nearest to 46 ms, its hop a quarter of it.
- Length is kept exactly. So is level: the vocoder puts bins out of phase, which costs noise 3.3 dB
  and a sine up to 0.9 dB (measured), and each copy is scaled back to its clip's power before it is
  resampled. What is shifted beyond half the rate is lost all the same.
- Copies are int16 like their clips, limited to full scale; store.json counts what lay beyond it.
The copies of a store are a store themselves, `<store>-pitched-v1` beside it: ten clips for each.
Contents: SEMITONES, `pitched`, Pitched, `shift`; Pitch, the transform.
"""

# B clips of a batch, S shifts, T samples of a clip, F bins, N frames

import hashlib
import math
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import soxr
import torch
from torch import Tensor

from scaling.settings import Sound
from scaling.sound import checksums, packing
from scaling.sound.batches import Mapped, full_scale
from scaling.sound.cache import draft, each, kept, whole
from scaling.sound.clip_table import some
from scaling.sound.store import WAVES, Store, ready
from scaling.sound.transforms.transform import Batch, Transform

# In semitones, as Iqbal et al. 2021.
SEMITONES = (-2.5, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5)
VERSION = 1  # of how copies are made: those of any other are not looked at
WINDOW = 0.046  # seconds, about: 1024 samples at 22,050 Hz
OVERLAP = 4  # hops in a window: the least with which a Hann window's vocoder is smooth


@dataclass(frozen=True)
class Pitched:
    """The shifted copies of every clip of a store."""

    copies: Store  # the first clip's, in the order of SEMITONES, then the second's, ...

    def batch(self, indices: np.ndarray, which: np.ndarray | Tensor, samples: int) -> Tensor:
        """The clips at these rows of the store, each shifted by SEMITONES[which]: as Store.batch.

        Both are (B,); which is on the CPU. int16 (B, samples).
        """
        which = np.asarray(which)
        assert ((which >= 0) & (which < len(SEMITONES))).all(), "no such shift"
        return self.copies.batch(len(SEMITONES) * indices + which, samples)

    def resident(self, device: torch.device, samples: int) -> Self:
        """The same copies for a GPU: see Store.resident."""
        return replace(self, copies=self.copies.resident(device, samples))

    def tiled(self) -> Self:
        """The same copies, short ones repeated: see Store.tiled."""
        return replace(self, copies=self.copies.tiled())


def pitched(store: Store, *, workers: int | None = None, progress: bool = True) -> Pitched:
    """The copies of this store's clips, found beside it, or made now by `workers` threads.

    Two processes make them once; what is not whole is made again. Raises ValueError for clips
    shorter than the vocoder's window, and when the cache cannot be written.
    """
    copies = kept(
        store.folder.parent,
        _name(store),
        partial(whole, partial(_open, store), verified=True),
        lambda folder: _make(store, folder, workers, progress),
    )
    return Pitched(copies)


def _name(store: Store) -> str:
    return f"{store.folder.name}-pitched-v{VERSION}"


def _open(store: Store, folder: Path) -> Store:
    """The copies of a store. Raises ValueError where they are damaged, or of other clips."""
    copies = Store.open(folder)
    if (copies.digest, copies.rate) != (store.digest, store.rate):
        raise ValueError(f"{folder} holds copies of other clips: they must be made again")
    return copies


def shift(wave_T: np.ndarray, rate: int) -> np.ndarray:
    """The wave at `rate` Hz, shifted by each of SEMITONES: (S, T) float32.

    T is at least `window(rate)`.
    """
    # Imported where it is used: who finds copies made does without.
    from torchaudio.functional import phase_vocoder

    size, samples = window(rate), len(wave_T)
    assert samples >= size, "shorter than the vocoder's window"
    hop, hann = size // OVERLAP, torch.hann_window(size)
    wave = torch.from_numpy(wave_T)
    bins_FN = torch.stft(wave, size, hop, window=hann, pad_mode="constant", return_complex=True)
    # What phases advance by in a hop is only known, and only matters, up to whole turns. As they do
    # not matter, we expect none of them: so the sum of all advances stays small, and exact.
    expected_F1 = torch.zeros(size // 2 + 1, 1)
    shifted_ST = np.empty((len(SEMITONES), samples), np.float32)
    for shifted_T, semitones in zip(shifted_ST, SEMITONES, strict=True):
        ratio = 2 ** (semitones / 12)
        stretched_FN = phase_vocoder(bins_FN, 1 / ratio, expected_F1)
        longer = torch.istft(stretched_FN, size, hop, window=hann, length=round(samples * ratio))
        power = longer.square().mean()
        if power > 0:
            longer *= (wave.square().mean() / power).sqrt()
        back = soxr.resample(longer.numpy(), ratio, 1.0, quality="HQ")[:samples]
        shifted_T[: len(back)] = back
        shifted_T[len(back) :] = 0
    return shifted_ST


def window(rate: int) -> int:
    """Samples of the vocoder's window."""
    return int(2 ** round(math.log2(WINDOW * rate)))


def _make(store: Store, folder: Path, workers: int | None, progress: bool) -> Store:
    """Write the copies under another name, then rename it. The caller holds the lock."""
    assert isinstance(store.read, Mapped), "shift the clips of a store that is on no GPU yet"
    size, read = window(store.rate), store.read
    if (short := read.lengths_N < size).any():
        names = [
            f"{name} ({length} samples)"
            for name, length in zip(store.table["clip"][short], read.lengths_N[short], strict=True)
        ]
        raise ValueError(
            f"{len(names)} of {len(store.table)} clips have fewer than the {size} samples that a "
            f"pitch shift needs at {store.rate} Hz: {some(names)}: leave them out, or take "
            "augment.transform=reverb"
        )

    def copies(row: int) -> tuple[np.ndarray, int]:
        start = read.starts_N[row]
        wave_T = read.waves[start : start + read.lengths_N[row]].astype(np.float32)
        whole_ST = np.rint(shift(wave_T, store.rate))
        limited_ST = np.clip(whole_ST, -32768, 32767)
        return limited_ST.astype("<i2"), int(np.count_nonzero(limited_ST != whole_ST))

    limited, content = 0, hashlib.sha256()
    label = f"shifting clips at {store.rate} Hz" if progress else ""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # each clip has its own thread already
    try:
        outcomes = each(copies, range(len(store.table)), workers, label)
        with draft(folder) as writing:
            with (writing / WAVES).open("wb") as file, closing(outcomes) as made:
                for copies_ST, beyond in made:
                    file.write(copies_ST.data)
                    content.update(copies_ST.data)
                    limited += beyond
            _describe(store, writing, {"samples_beyond_full_scale": limited})
            checksums.settle(writing, folder, {WAVES: content.hexdigest()})
    finally:
        torch.set_num_threads(threads)
    return Store.open(folder)


def _describe(store: Store, folder: Path, facts: dict[str, int]) -> None:
    """Write what the copies of a store are."""
    assert isinstance(store.read, Mapped)
    rows = np.repeat(np.arange(len(store.table)), len(SEMITONES))
    more = facts | {"semitones": SEMITONES, "window": window(store.rate)}
    lengths = store.read.lengths_N[rows]
    packing.describe(folder, store.table.iloc[rows], lengths, store.digest, store.rate, more)


class Pitch(Transform):
    """Each chosen clip shifted by one of SEMITONES, all with the same probability."""

    changes = "wave"
    variants = len(SEMITONES)

    def __init__(self, store: Store, sound: Sound, device: torch.device) -> None:
        self.copies = ready(pitched(store, progress=False), sound, device)
        self.samples = sound.samples

    @classmethod
    def prepare(cls, store: Store, progress: bool = True) -> None:
        """Shift every clip, with a progress bar."""
        pitched(store, progress=progress)

    @classmethod
    def simulate(cls, store: Store) -> None:
        """Silent copies, which take no disk space."""
        assert isinstance(store.read, Mapped)
        folder = store.folder.with_name(_name(store))
        folder.mkdir()
        with (folder / WAVES).open("wb") as file:
            file.truncate(2 * len(SEMITONES) * int(store.read.lengths_N.sum()))
        _describe(store, folder, {})
        checksums.vouch(folder)

    def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
        """In place of the chosen clips, their copies."""
        chosen = batch.chosen_B.numpy()
        which = batch.variants_B.numpy()[chosen]
        copies = self.copies.batch(batch.rows_B[chosen], which, self.samples)
        rows = torch.from_numpy(np.flatnonzero(chosen)).to(x_B.device)
        x_B[rows] = full_scale(copies, x_B.device)
        return x_B
