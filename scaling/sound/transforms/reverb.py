"""Reverb: a clip as it would sound in one of 500 rooms, simulated once and kept.

Iqbal et al. 2021 convolve with one of 500 random room responses with an RT60 of 0.2 to 1 s; how
theirs were made they do not say. Ours are shoebox rooms by pyroomacoustics (Scheibler et al. 2018):
image sources, walls that absorb all frequencies alike, by Sabine's formula for a wished RT60.
Conventions:
- The response decides, not the wish, which it misses by up to a factor of 2: its RT60 is measured
  (T30 of ISO 3382: from -5 to -35 dB) and a room outside of the range is drawn again.
- The direct path is sample 0: the source stands a whole number of samples away, so that the path is
  one sample wide. What comes after the measured RT60, below -60 dB, is cut.
- A response has unit energy, as those of microphones: white noise keeps its level.
- Convolution is linear and causal; what rings on beyond the clip's end is dropped.
- Rooms are drawn from a seed of their own: all trials, and all rates, share the same ones.
The pool is a folder `<cache>/rooms-v1-<rate>-<count>/`: `responses.npy`, `rooms.parquet` (sizes,
places, wish and RT60 of each, draws before it), `rooms.json` (what it is), and the seal over them.
Contents: ROOMS, RT60, `rooms`, Rooms, `reverberate`; Reverb, the transform.
"""

# B clips, R of them in a room, T samples, M rooms, K samples of a response, Q FFT bins

import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from scaling import optional
from scaling.seeds import stream
from scaling.settings import Sound
from scaling.sound import checksums
from scaling.sound.cache import draft, each, kept, whole
from scaling.sound.store import Store
from scaling.sound.transforms.transform import UNCHANGED, Batch, Transform

# Iqbal et al. 2021: how many rooms, and their range of RT60 in seconds.
ROOMS = 500
RT60 = (0.2, 1.0)
VERSION = 1  # of how rooms are made and kept: those of any other are not looked at
RESPONSES, TABLE, FACTS = "responses.npy", "rooms.parquet", "rooms.json"
SEED = 0

# Our choice: from a small office to a classroom.
SMALLEST, LARGEST = (4.0, 3.5, 2.5), (10.0, 8.0, 4.0)  # metres
FROM_WALL, APART = 0.5, 0.5  # metres that source and microphone keep, at least
# Reflections up to this order. In the smallest room all of the first 0.47 s are among them, in a
# middling one 0.65 s, which covers the T30 of an RT60 of 1 s; the cost grows with the third power.
ORDER = 80
DECAY = 30  # dB, of T30
TRIES = 50  # draws of one room; about half of all are within the range (measured)


class Rooms(NamedTuple):
    """Room responses, by number, and what they are like."""

    responses_MK: Tensor  # float32, unit energy, zero-padded at the end; maps the file
    rt60_M: Tensor  # float32, seconds, measured


class Room(NamedTuple):
    """One room as drawn: the response, and its row of the table."""

    response_K: np.ndarray
    row: dict[str, float]


def rooms(
    rate: int,
    count: int = ROOMS,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Rooms:
    """The first `count` rooms at `rate` Hz, from the cache, or made now by `workers` threads.

    Raises ValueError for a room that cannot be drawn, and when the cache cannot be written. For the
    cache see `scaling.sound.cache.place`.
    """
    return kept(
        cache,
        _name(rate, count),
        partial(whole, _open, verified=True),
        lambda folder: _make(rate, count, folder, workers, progress),
    )


def reverberate(waves_BT: Tensor, responses_MK: Tensor, which_B: Tensor) -> Tensor:
    """Each wave (float32) in its own room: (B, T).

    which_B is int64, best on the CPU as drawn: the room's number, or UNCHANGED, which leaves every
    bit as it is. Unlike `microphones.Bank` it transforms responses when they are heard: the spectra
    of 500 rooms take six times their memory (5 s clips), in every process.
    """
    assert waves_BT.dtype == torch.float32, "waves are float32"
    rows_R = (which_B != UNCHANGED).nonzero().squeeze(1)
    if not len(rows_R):
        return waves_BT
    which_R = which_B[rows_R]
    assert 0 <= which_R.min() <= which_R.max() < len(responses_MK), "no such room"
    rows_R = rows_R.to(waves_BT.device)
    samples = waves_BT.shape[1]
    responses_RK = responses_MK[which_R.to(responses_MK.device), :samples].to(waves_BT.device)
    # Long enough that no end of the linear convolution comes round to the clip's start.
    size = int(next_fast_len(samples + responses_RK.shape[1] - 1, real=True))
    spectra_RQ = torch.fft.rfft(waves_BT[rows_R], size)
    spectra_RQ *= torch.fft.rfft(responses_RK, size)
    heard_RT = torch.fft.irfft(spectra_RQ, size)[:, :samples]
    return waves_BT.index_copy(0, rows_R, heard_RT)


def _name(rate: int, count: int) -> str:
    return f"rooms-v{VERSION}-{rate}-{count}"


def _open(folder: Path) -> Rooms:
    """Open a pool in milliseconds. Raises ValueError when a look shows damage."""
    try:
        checksums.check(folder)
        # Copy on write, which never happens: torch takes no array that it could not write to.
        responses_MK = np.load(folder / RESPONSES, mmap_mode="c")
        rt60_M = pq.read_table(folder / TABLE)["rt60"].to_numpy().astype(np.float32)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"pool {folder} is damaged ({reason}): it must be made again") from None
    return Rooms(torch.from_numpy(np.asarray(responses_MK)), torch.from_numpy(rt60_M))


def _make(rate: int, count: int, folder: Path, workers: int | None, progress: bool) -> Rooms:
    """Write the pool under another name, then rename it. The caller holds the lock."""
    optional.need("rooms", "augment.transform=reverb (or combination)")
    label = f"simulating rooms at {rate} Hz" if progress else ""
    made = list(each(partial(_room, rate), range(count), workers, label))
    table = pd.DataFrame([room.row for room in made])
    facts: dict[str, int | str] = {"seed": SEED, "rate": rate, "count": count}
    facts["pyroomacoustics"] = version("pyroomacoustics")
    facts |= {name: int(table[name].sum()) for name in ("unreachable", "outside")}
    with draft(folder) as writing:
        responses = [room.response_K for room in made]
        _write(writing, responses, max(map(len, responses)), table, facts)
        checksums.settle(writing, folder)
    return _open(folder)


def _write(
    folder: Path,
    responses: Sequence[np.ndarray],
    samples: int,
    table: pd.DataFrame,
    facts: Mapping[str, int | str],
) -> None:
    """Write responses, each followed by zeros up to `samples`, their table, and what they are."""
    shape = len(responses), samples
    responses_MK = np.lib.format.open_memmap(folder / RESPONSES, "w+", np.float32, shape)
    for row_K, response_K in zip(responses_MK, responses, strict=True):
        row_K[: len(response_K)] = response_K
    responses_MK.flush()
    packed = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(packed.replace_schema_metadata(None), folder / TABLE)
    (folder / FACTS).write_text(json.dumps(facts, indent=1))


def _room(rate: int, number: int) -> Room:
    """The first of this room's draws that is within the range. Raises ValueError for too many."""
    # Imported where it is used: who finds the pool made does without.
    from pyroomacoustics import inverse_sabine
    from pyroomacoustics.experimental import measure_rt60

    tally = {"unreachable": 0, "outside": 0}
    for attempt in range(TRIES):
        draw = stream(SEED, "room", number, attempt)
        size_3, wish = draw.uniform(SMALLEST, LARGEST), draw.uniform(*RT60)
        source_3, microphone_3 = draw.uniform(FROM_WALL, size_3 - FROM_WALL, size=(2, 3))
        try:
            absorption, order = inverse_sabine(wish, size_3)
        except ValueError:  # walls cannot absorb more than all
            tally["unreachable"] += 1
            continue
        if np.linalg.norm(source_3 - microphone_3) < APART:
            continue
        order = min(order, ORDER)
        response_K, source_3 = _simulate(rate, size_3, source_3, microphone_3, absorption, order)
        rt60 = measure_rt60(response_K, rate, decay_db=DECAY)
        if not RT60[0] <= rt60 <= RT60[1]:
            tally["outside"] += 1
            continue
        cut_K = response_K[: round(rt60 * rate)]
        row = {"room": number, "rt60": rt60, "wish": wish, "absorption": absorption, "order": order}
        row |= {f"size_{axis}": at for axis, at in zip("xyz", size_3, strict=True)}
        row |= {f"source_{axis}": at for axis, at in zip("xyz", source_3, strict=True)}
        row |= {f"microphone_{axis}": at for axis, at in zip("xyz", microphone_3, strict=True)}
        return Room((cut_K / np.linalg.norm(cut_K)).astype(np.float32), row | tally)
    raise ValueError(
        f"room {number}: none of {TRIES} draws has an RT60 of {RT60[0]:g} to {RT60[1]:g} s at "
        f"{rate} Hz ({tally['unreachable']} could not reach theirs, {tally['outside']} measured "
        "outside): take another sound.rate"
    )


def _simulate(
    rate: int,
    size_3: np.ndarray,
    source_3: np.ndarray,
    microphone_3: np.ndarray,
    absorption: float,
    order: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The response from the direct path on, and where the source stands in the end."""
    from pyroomacoustics import Material, ShoeBox, constants

    path_3 = source_3 - microphone_3
    metres = np.linalg.norm(path_3)
    delay = round(metres * rate / constants.get("c"))
    source_3 = microphone_3 + path_3 * (delay * constants.get("c") / rate / metres)
    room = ShoeBox(size_3, fs=rate, materials=Material(absorption), max_order=order)
    room.add_source(source_3)
    room.add_microphone(microphone_3)
    room.compute_rir()
    # All arrivals come later by half the filter that delays them by parts of a sample.
    direct = delay + constants.get("frac_delay_length") // 2
    return room.rir[0][0][direct:], source_3


class Reverb(Transform):
    """Each chosen clip in one of the rooms, all with the same probability."""

    changes = "wave"
    variants = ROOMS

    def __init__(self, store: Store, sound: Sound, device: torch.device) -> None:
        del sound
        pool = rooms(store.rate, cache=store.folder.parent, progress=False)
        self.responses_MK = pool.responses_MK.to(device)
        self.variants = len(self.responses_MK)

    @classmethod
    def prepare(cls, store: Store, progress: bool = True) -> None:
        """Simulate the rooms, with a progress bar."""
        rooms(store.rate, cache=store.folder.parent, progress=progress)

    @classmethod
    def simulate(cls, store: Store) -> None:
        """Responses of the longest RT60 with the direct sound alone, which take no disk space."""
        folder = store.folder.with_name(_name(store.rate, ROOMS))
        folder.mkdir()
        direct, samples = np.ones(1, np.float32), round(RT60[1] * store.rate)
        _write(folder, [direct] * ROOMS, samples, pd.DataFrame({"rt60": [RT60[1]] * ROOMS}), {})
        checksums.vouch(folder)

    def apply(self, x_B: Tensor, batch: Batch) -> Tensor:
        """See `reverberate`."""
        return reverberate(x_B, self.responses_MK, batch.variants_B)
