"""Microphones: a clip as another device would have recorded it.

The clip is convolved with a measured impulse response, then its dynamic range is compressed: so
were devices S1 to S6 of TAU Urban Acoustic Scenes made (Heittola et al. 2020). MicIRP (Xaudia)
measured the responses that we use. Conventions:
- A response is the mean of its file's channels, resampled by soxr's HQ, cut from where it comes
  within 60 dB of its peak (at most 2 ms before it, which bounds the delay) to 250 ms after the
  peak, and scaled to unit energy: white noise keeps its level. Polarity is kept.
- Convolution is linear and causal; what rings on beyond the clip's end is dropped.
- Compression is relative to the clip's own peak level, which it keeps: a level of -l dB becomes
  -l / ratio above the threshold; below it all is lifted alike, by (1 - 1 / ratio) |threshold| dB.
  There is no limiter: an attack may exceed full scale for milliseconds, and waves are float.
Shapes: B clips, R of them heard through a microphone, T samples, M microphones, K samples of a
response, Q FFT bins, N frames of level.
Contents: RECORDED; `find`, `load`, `digest`; `Bank` with `build`; `compress`.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from scaling.settings import Microphones, Sound
from scaling.sound import checksums
from scaling.sound.clips import decode_file
from scaling.spelling import nearest

RECORDED = -1  # in place of a microphone's number: the clip as it was recorded

# With these cuts all of MicIRP keep their magnitude, 60 Hz to 10 kHz at 22,050 Hz, to 0.7 dB.
ONSET = 10 ** (-60 / 20)  # of the peak: the response begins here
LEAD = 2e-3  # seconds before the peak at most
TAIL = 0.25  # seconds after the peak at most
SHORTEST = 1e-3  # seconds; a shorter one could not tell 1 kHz from 0 Hz
LOST = 1e-4  # of the peak: what resampling leaves of sound above the new band

# Our choice, usual of compressors: what TAU's devices took is not known to us.
ATTACK, RELEASE = 5e-3, 50e-3  # seconds, time constants of the level
FRAME = 1e-3  # seconds between levels: a fifth of the attack
MEMORY = 10  # time constants, in which 43 dB decay


def find(folder: str) -> Path:
    """Where a folder of responses lies: as it is, else below OVERHEAR_DATA, else below data/.

    Raises ValueError that names the places looked at.
    """
    bases = filter(None, (os.environ.get("OVERHEAR_DATA"), "data"))
    # All are one where the folder's path is absolute.
    places = [Path(folder), *(Path(base) / folder for base in bases)]
    places = list(dict.fromkeys(place.expanduser() for place in places))
    for place in places:
        if place.is_dir():
            return place
    raise ValueError(
        f"microphones.responses={folder} not found at {', '.join(map(str, places))}: "
        "name the folder above it with OVERHEAR_DATA, or give its whole path"
    )


def load(names: Sequence[str], rate: int, folder: Path) -> Tensor:
    """The responses `<folder>/<name>.wav` at `rate` Hz, zero-padded at their ends: (M, K) float64.

    The ending may be in capitals. Raises ValueError for a name that is not there, and for a file
    that cannot be read, is not finite, shorter than 1 ms, or silent at this rate.
    """
    responses = [torch.from_numpy(_response(name, rate, folder)) for name in names]
    return pad_sequence(responses, batch_first=True)


def digest(names: Sequence[str], folder: Path) -> str:
    """16 hex digits of the SHA-256 of these names and their files' bytes, whatever their order.

    Raises ValueError for a name that is not there, or a file that cannot be read.
    """
    content = hashlib.sha256()
    for name in sorted(names):
        path = _path(name, folder)
        try:
            held = checksums.content(path)
        except OSError as error:
            raise _unfit(name, path, str(error.strerror)) from None
        content.update(f"{name}\n{held}\n".encode())
    return content.hexdigest()[:16]


def _path(name: str, folder: Path) -> Path:
    path = folder / f"{name}.wav"
    if path.is_file():
        return path
    there = folder.iterdir() if folder.is_dir() else ()
    found = {each.stem: each for each in sorted(there) if each.suffix.lower() == ".wav"}
    if name in found and found[name].is_file():
        return found[name]
    raise ValueError(
        f"microphone {name}: no such response in {folder}{nearest(name, sorted(found))}"
    )


def _unfit(name: str, path: Path, reason: str) -> ValueError:
    return ValueError(f"microphone {name}: {path} is {reason}: mend it or name another microphone")


def _response(name: str, rate: int, folder: Path) -> np.ndarray:
    """One response at `rate`, cut and of unit energy: (K,) float64."""
    path = _path(name, folder)
    try:
        samples, own_rate = decode_file(path)
    except (ValueError, OSError) as error:
        raise _unfit(name, path, f"not usable ({error})") from None
    if len(samples) < SHORTEST * own_rate:
        raise _unfit(name, path, f"too short ({len(samples)} samples, a response lasts 1 ms)")
    # Margins hold what the resampler's filter rings before and after.
    raw_K = np.pad(samples.mean(axis=1, dtype=np.float64), round(LEAD * own_rate) + 1)
    response_K = soxr.resample(raw_K, own_rate, rate, quality="HQ") if rate != own_rate else raw_K
    size_K = np.abs(response_K)
    peak = int(size_K.argmax())
    if size_K[peak] <= LOST * np.abs(raw_K).max():
        raise _unfit(name, path, f"silent (up to {rate / 2:g} Hz, half the rate)")
    onset = int((size_K >= ONSET * size_K[peak]).argmax())
    start = max(onset, peak - round(LEAD * rate))
    kept_K = response_K[start : peak + 1 + round(TAIL * rate)]
    return np.asarray(kept_K / np.linalg.norm(kept_K))


class Bank(nn.Module):
    """Microphones, by number, for clips of up to `samples` samples."""

    spectra_MQ: Tensor

    def __init__(
        self,
        responses_MK: Tensor,
        samples: int,
        rate: int,
        ratio: float,
        threshold_db: float,
        compress_recorded: bool = False,
    ) -> None:
        super().__init__()
        self.samples, self.rate = samples, rate
        self.ratio, self.threshold_db = ratio, threshold_db
        self.compress_recorded = compress_recorded
        # Long enough that no end of the linear convolution comes round to the clip's start.
        self.size = int(next_fast_len(samples + responses_MK.shape[1] - 1, real=True))
        # By numpy, as torch's transform of no responses at all is an error.
        spectra_MQ = torch.from_numpy(np.fft.rfft(responses_MK.double().numpy(), self.size))
        self.register_buffer("spectra_MQ", spectra_MQ.to(torch.complex64), persistent=False)

    def forward(self, waves_BT: Tensor, which_B: Tensor) -> Tensor:
        """Each wave (float32) through its own microphone: (B, T).

        which_B is int64, best on the CPU as drawn: the row of the responses, or RECORDED, which
        leaves every bit as it is, or compresses only (`compress_recorded`).
        """
        assert waves_BT.dtype == torch.float32, "waves are float32"
        assert waves_BT.shape[1] <= self.samples, "clips longer than those the bank was made for"
        rows_R = (which_B != RECORDED).nonzero().squeeze(1)
        if not len(rows_R):
            return self._compressed(waves_BT) if self.compress_recorded else waves_BT
        which_R = which_B[rows_R]
        assert 0 <= which_R.min() <= which_R.max() < len(self.spectra_MQ), "no such microphone"
        which_R = which_R.to(waves_BT.device)
        rows_R = rows_R.to(waves_BT.device)
        spectra_RQ = torch.fft.rfft(waves_BT[rows_R], self.size).mul_(self.spectra_MQ[which_R])
        heard_RT = torch.fft.irfft(spectra_RQ, self.size)[:, : waves_BT.shape[1]]
        if self.compress_recorded:
            return self._compressed(waves_BT.index_copy(0, rows_R, heard_RT))
        return waves_BT.index_copy(0, rows_R, self._compressed(heard_RT))

    def _compressed(self, waves_RT: Tensor) -> Tensor:
        """What is left of their dynamic range."""
        if self.ratio == 1:
            return waves_RT
        return compress(waves_RT, self.rate, self.ratio, self.threshold_db)

    def all_through(self, waves_BT: Tensor, which_B: Tensor) -> Tensor:
        """The same without a look at which_B, which lies beside the waves: each clip is convolved,
        those of RECORDED for nothing.
        """
        if not len(self.spectra_MQ):
            return self._compressed(waves_BT) if self.compress_recorded else waves_BT
        spectra_BQ = torch.fft.rfft(waves_BT, self.size).mul_(self.spectra_MQ[which_B.clamp(min=0)])
        heard_BT = torch.fft.irfft(spectra_BQ, self.size)[:, : waves_BT.shape[1]]
        recorded_B1 = which_B[:, None] == RECORDED
        if self.compress_recorded:
            return self._compressed(torch.where(recorded_B1, waves_BT, heard_BT))
        return torch.where(recorded_B1, waves_BT, self._compressed(heard_BT))


def build(settings: Microphones, sound: Sound) -> Bank:
    """All microphones of a trial, numbered as in `settings.heard`: those of training come first.

    Raises ValueError as `find` and `load` do; looks for nothing where none is named.
    """
    responses_MK = torch.zeros(0, 1)
    if settings.heard:
        responses_MK = load(settings.heard, sound.rate, find(settings.responses))
    return Bank(
        responses_MK,
        sound.samples,
        sound.rate,
        settings.ratio,
        settings.threshold_db,
        settings.compress_recorded,
    )


def compress(waves_BT: Tensor, rate: int, ratio: float, threshold_db: float) -> Tensor:
    """Waves at `rate` Hz with less dynamic range, their peak levels kept: (B, T).

    Feed-forward: the gain follows the level of what goes in, taken every millisecond. ratio is at
    least 1; threshold_db, at most 0, is against each clip's peak level: a quieter clip gives the
    same, quieter.
    """
    frame = max(1, round(FRAME * rate))
    levels_BN = _levels(waves_BT, frame, rate)
    peaks_B1 = levels_BN.amax(dim=1, keepdim=True).clamp(min=torch.finfo(levels_BN.dtype).tiny)
    relative_BN = (levels_BN / peaks_B1).clamp(min=10 ** (threshold_db / 10))
    gains_BN = relative_BN ** ((1 / ratio - 1) / 2)
    gains_BT = functional.interpolate(gains_BN[:, None], scale_factor=frame, mode="linear")[:, 0]
    return waves_BT * gains_BT[:, : waves_BT.shape[1]]


def _levels(waves_BT: Tensor, frame: int, rate: int) -> Tensor:
    """Smoothed power, rising with ATTACK and falling with RELEASE: (B, N).

    The larger of two exponential means of what has been heard so far, a fast and a slow one: unlike
    a filter that switches between two constants, both are one convolution. A clip is cut from a
    sound that went on before: as loud, we assume, as its first 50 ms.
    """
    power_B1N = functional.avg_pool1d(waves_BT.square()[:, None], frame, ceil_mode=True)
    released = RELEASE * rate / frame  # in frames
    taps = round(MEMORY * released)
    before_B11 = power_B1N[..., : round(released)].mean(dim=-1, keepdim=True)
    heard_B1N = torch.cat([before_B11.expand(-1, -1, taps - 1), power_B1N], dim=-1)
    # filled where they are needed: nothing is copied from the host in a step
    both_21 = [torch.full((1, 1), each, device=waves_BT.device) for each in (ATTACK, RELEASE)]
    constants_21 = torch.cat(both_21) * (rate / frame)
    ages_2K = torch.arange(taps - 1, -1, -1, device=waves_BT.device) / constants_21
    # Left in, the faster mean's last weights would be denormal numbers: slow ones (measured).
    means_2K = torch.softmax((-ages_2K).masked_fill(ages_2K > MEMORY, -torch.inf), dim=1)
    return functional.conv1d(heard_B1N, means_2K[:, None]).amax(dim=1)
