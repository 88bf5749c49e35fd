"""Front ends: 16 clips of 10 s to CP-ResNet's features on a CPU, ours beside what one would pick.

Peers: for log_mel torchaudio, nnAudio, torchlibrosa and librosa, each as its own documentation has
it; for perceptual, which no library offers, the plain batched torch and the plain librosa way.
Real clips (ESC-10, two of 5 s in one) where OVERHEAR_DATA is set, else noise.
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import librosa
import numpy as np
import soundfile
import soxr
import torch
import torchaudio
import torchlibrosa
from common import report, rounds, timed
from nnAudio.features.mel import MelSpectrogram
from torch import Tensor

from scaling.seeds import torch_stream
from scaling.settings import Features
from scaling.sound import frontends

RATE, WINDOW, HOP, MELS, RANGE = 22050, 2048, 512, 256, 80
CLIPS, SAMPLES = 16, 10 * RATE
# Ratio aimed at, ratio below which something is broken.
TARGETS = {
    ("log_mel", "torchaudio"): (2.5, 1.5),
    ("log_mel", "nnAudio"): (10.0, 5.0),
    ("perceptual", "plain torch"): (4.0, 2.5),
}


def waves() -> tuple[Tensor, str]:
    """16 clips of 10 s, (16, 220500) float32, and what they are."""
    folder = Path(os.environ.get("OVERHEAR_DATA", "data")) / "ESC-10" / "audio"
    paths = sorted(folder.glob("*.ogg"))[:: max(1, 400 // (2 * CLIPS))][: 2 * CLIPS]
    if len(paths) < 2 * CLIPS:
        noise = torch.randn(CLIPS, SAMPLES, generator=torch_stream(0, "benchmark"))
        return 0.1 * noise, "synthetic noise"
    halves = []
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        half = soxr.resample(samples, rate, RATE)[: SAMPLES // 2]
        halves.append(np.pad(half, (0, SAMPLES // 2 - len(half))))
    return torch.from_numpy(np.stack(halves)).reshape(CLIPS, SAMPLES), "ESC-10"


def by_torchaudio() -> Callable[[Tensor], Tensor]:
    mel = torchaudio.transforms.MelSpectrogram(
        RATE, WINDOW, hop_length=HOP, n_mels=MELS, norm="slaney", mel_scale="slaney"
    )
    decibels = torchaudio.transforms.AmplitudeToDB("power", RANGE)
    # Without a channel the loudest value would be the batch's, not the clip's.
    return lambda waves_BT: decibels(mel(waves_BT[:, None]))[:, 0]


def by_nnaudio() -> Callable[[Tensor], Tensor]:
    mel = MelSpectrogram(RATE, WINDOW, n_mels=MELS, hop_length=HOP, verbose=False)
    decibels = torchaudio.transforms.AmplitudeToDB("power", RANGE)  # nnAudio has none
    return lambda waves_BT: decibels(mel(waves_BT)[:, None])[:, 0]


def by_torchlibrosa() -> Callable[[Tensor], Tensor]:
    spectrogram = torchlibrosa.Spectrogram(n_fft=WINDOW, hop_length=HOP)
    mel = torchlibrosa.LogmelFilterBank(
        sr=RATE, n_fft=WINDOW, n_mels=MELS, fmin=0, fmax=RATE / 2, top_db=None
    )  # its top_db is of the batch: left out, in its favour
    return lambda waves_BT: mel(spectrogram(waves_BT))


def by_librosa(waves_BT: Tensor) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=waves_BT.numpy(), sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=MELS, pad_mode="reflect"
    )
    return np.stack([librosa.power_to_db(clip, top_db=RANGE) for clip in mel])


def by_plain_torch() -> Callable[[Tensor], Tensor]:
    window = torch.hann_window(WINDOW)
    mel_FQ = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=MELS))
    weighting_Q1 = torch.from_numpy(weighting()).float()[:, None]

    def perceptual(waves_BT: Tensor) -> Tensor:
        spectrum_BQN = torch.stft(waves_BT, WINDOW, HOP, window=window, return_complex=True)
        decibels_BQN = 10 * torch.log10(spectrum_BQN.abs().square().clamp(min=1e-10))
        loudest = decibels_BQN.amax(dim=(1, 2), keepdim=True)
        decibels_BQN = torch.maximum(decibels_BQN, loudest - RANGE)
        return mel_FQ @ (decibels_BQN + weighting_Q1)

    return perceptual


def by_librosa_perceptually(waves_BT: Tensor) -> np.ndarray:
    mel_FQ: np.ndarray = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=MELS)
    clips = []
    for wave_T in waves_BT.numpy():
        power = np.abs(librosa.stft(wave_T, n_fft=WINDOW, hop_length=HOP, pad_mode="reflect")) ** 2
        clips.append(mel_FQ @ (librosa.power_to_db(power, top_db=RANGE) + weighting()[:, None]))
    return np.stack(clips)


def weighting() -> np.ndarray:
    with np.errstate(divide="ignore"):
        gains: np.ndarray = librosa.A_weighting(librosa.fft_frequencies(sr=RATE, n_fft=WINDOW))
    return gains


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the front ends beside their peers.")
    parser.add_argument("--repeats", type=int, default=10, help="interleaved rounds (default 10)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    waves_BT, source = waves()
    peers: dict[str, dict[str, Callable[[Tensor], object]]] = {
        "log_mel": {
            "torchaudio": by_torchaudio(),
            "nnAudio": by_nnaudio(),
            "torchlibrosa": by_torchlibrosa(),
            "librosa": by_librosa,
        },
        "perceptual": {"plain torch": by_plain_torch(), "librosa": by_librosa_perceptually},
    }
    results = []
    kinds: tuple[Literal["log_mel"], Literal["perceptual"]] = ("log_mel", "perceptual")
    for kind in kinds:
        features = Features(kind=kind, window=WINDOW, hop=HOP, mels=MELS, range_db=RANGE)
        contestants = {"ours": frontends.build(features, RATE)} | peers[kind]
        calls = {name: partial(call, waves_BT) for name, call in contestants.items()}
        with torch.inference_mode():
            seconds = rounds(calls, arguments.repeats)
        results += [
            timed(f"{kind}, {name}", seconds["ours"], seconds[name], *TARGETS.get((kind, name), ()))
            for name in peers[kind]
        ]
    report(f"Front ends: {CLIPS} clips of 10 s ({source}), {arguments.repeats} rounds", results)


if __name__ == "__main__":
    main()
