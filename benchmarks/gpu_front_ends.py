"""Front ends on a GPU: 64 clips of 10 s to 256 bands, ours beside what one would pick instead.

Ours is computed in three ways: fused (power, bands and logarithm in one pass over the FFT's output,
by Triton), plain (torch, operation by operation) and plain through torch.compile. Peers are
torchaudio's mel spectrogram and, where it is installed, nnAudio's, both in decibels. `--tiles`
times the fused pass with other block sizes. Where no GPU is, it says so, and exits 0.
"""

import argparse
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import product

import numpy as np
import torch
import torchaudio
from common import Result, report, rounds, timed
from torch import Tensor, nn

from scaling import machine
from scaling.machine import Machine
from scaling.seeds import torch_stream
from scaling.settings import Features
from scaling.sound import frontends
from scaling.sound.frontends import fused
from scaling.sound.frontends.overhear import Overhear
from scaling.sound.frontends.plain import Plain, full_precision

RATE, WINDOW, HOP, MELS = 22_050, 2048, 512, 256
CLIPS, SAMPLES = 64, 10 * RATE
TORCHAUDIO, AIM = 2.5, 150_000  # times torchaudio, and clips a second, aimed at
TILES = tuple(product((16, 32, 64, 128), (16, 32), (16, 32)))  # frames, bands, bins


def ours(kind: str) -> Overhear:
    """The front end at the size of the paper."""
    found = frontends.build(
        Features(kind=kind, window=WINDOW, hop=HOP, mels=MELS, range_db=80), RATE
    )
    assert isinstance(found, Overhear)
    return found


class PlainOnly(nn.Module):
    """The same front end, operation by operation."""

    def __init__(self, front: Plain, compiled: bool) -> None:
        super().__init__()
        self.front = front
        self.compute: Callable[[Tensor], Tensor] = partial(Plain.compute, front)
        if compiled:
            self.compute = torch.compile(self.compute)

    def forward(self, waves_BT: Tensor) -> Tensor:
        with full_precision(waves_BT.device.type):
            return self.compute(waves_BT)


def contestants(kind: str, here: Machine) -> dict[str, nn.Module]:
    """Waves to features, ours first."""
    front, decibels = ours(kind), torchaudio.transforms.AmplitudeToDB("power", 80)
    mel = torchaudio.transforms.MelSpectrogram(
        RATE, WINDOW, hop_length=HOP, n_mels=MELS, norm="slaney"
    )
    found = {"fused": front, "plain": PlainOnly(front, compiled=False)}
    if here.device.type == "cuda":
        found["compiled"] = PlainOnly(front, compiled=True)
    found["torchaudio"] = nn.Sequential(mel, decibels)
    if importlib.util.find_spec("nnAudio"):
        library = import_module("nnAudio.features.mel")
        other = library.MelSpectrogram(RATE, WINDOW, MELS, hop_length=HOP, verbose=False)
        found["nnAudio"] = nn.Sequential(other, decibels)
    return {name: module.to(here.device) for name, module in found.items()}


def several(module: Callable[[Tensor], object], waves_BT: Tensor, here: Machine) -> None:
    """Ten times on a GPU, one after the other, as training does; once on a CPU."""
    with torch.inference_mode():
        for _ in range(_calls(here)):
            module(waves_BT)
    here.wait()


def _calls(here: Machine) -> int:
    return 10 if here.device.type == "cuda" else 1


def noise(clips: int, samples: int, here: Machine) -> Tensor:
    waves_BT = 0.1 * torch.randn(clips, samples, generator=torch_stream(0, "benchmark"))
    return waves_BT.to(here.device)


def front_ends(here: Machine, clips: int, samples: int, repeats: int) -> Iterator[Result]:
    """Ours against each of the others, and in clips a second."""
    waves_BT = noise(clips, samples, here)
    for kind in ("log_mel", "perceptual"):
        modules = contestants(kind, here)
        calls = {name: partial(several, by, waves_BT, here) for name, by in modules.items()}
        for name, call in list(calls.items())[1:]:
            try:
                call()
            except Exception as error:  # noqa: BLE001
                # of a compiler that is not there, say
                said = f"{type(error).__name__}: {error}".splitlines()[0]
                print(f"{kind} by {name}: not measured, {said}")
                del calls[name]
        seconds = rounds(calls, repeats)
        for name in list(calls)[1:]:
            aim = TORCHAUDIO if name == "torchaudio" else None
            yield timed(
                f"{kind}, {clips} clips against {name}", seconds["fused"], seconds[name], aim
            )
        rate = clips * _calls(here) / float(np.median(seconds["fused"]))
        yield Result(f"{kind}, beside the aim, clips/s", rate, AIM, rate / AIM, 1.0)
        if here.device.type == "cuda":
            parts(kind, waves_BT, here, repeats)


def parts(kind: str, waves_BT: Tensor, here: Machine, repeats: int) -> None:
    """Print what the parts of the fused pass take."""
    if not all(fused._agree.values()):
        print(f"{kind}: NOT fused, a warning says why")
        return
    kernels = import_module("scaling.sound.frontends.fused_kernels")
    front, frames = ours(kind).to(here.device), 1 + waves_BT.shape[1] // HOP
    frames_BNT = fused._frames(kernels, front, waves_BT, frames)
    spectrum_BNQ = torch.fft.rfft(frames_BNT)
    features_BFN = torch.empty(len(waves_BT), MELS, frames, device=here.device)
    calls: dict[str, Callable[[Tensor], object]] = {
        "frames": lambda waves_BT: fused._frames(kernels, front, waves_BT, frames),
        "FFT": lambda _: torch.fft.rfft(frames_BNT),
        "bands": lambda _: fused._fill(kernels, front, spectrum_BNQ, features_BFN),
    }
    timings = {name: partial(several, call, waves_BT, here) for name, call in calls.items()}
    seconds = rounds(timings, repeats)
    each = (f"{k} {1e3 * np.median(v) / _calls(here):.3f} ms" for k, v in seconds.items())
    print(f"{kind}, fused: {', '.join(each)}")


def tiles(here: Machine, clips: int, samples: int, repeats: int) -> None:
    """Print clips a second of the fused pass by its block sizes, the best ones first."""
    waves_BT, usual = noise(clips, samples, here), (fused.FRAMES, fused.BANDS, fused.BINS)
    for kind in ("log_mel", "perceptual"):
        found = []
        for sizes in TILES:
            fused.FRAMES, fused.BANDS, fused.BINS = sizes
            fused._agree.clear()
            call = partial(several, ours(kind).to(here.device), waves_BT, here)
            found.append((float(np.median(rounds({"it": call}, repeats)["it"])), sizes))
            if not all(fused._agree.values()):
                print(f"{kind}, {sizes}: NOT fused")
        for seconds, sizes in sorted(found):
            print(f"{kind}, {sizes}: {clips * _calls(here) / seconds:,.0f} clips/s")
    fused.FRAMES, fused.BANDS, fused.BINS = usual


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--tiles", action="store_true", help="other block sizes of the fused pass")
    chosen = parser.parse_args(words)
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: nothing is measured (--device cpu shows that the code runs)")
        return
    here = machine.here(chosen.device)
    size = (here, CLIPS, SAMPLES) if here.device.type == "cuda" else (here, 2, RATE)
    if chosen.tiles:
        tiles(*size, chosen.repeats)
    else:
        report("Front ends on a GPU", list(front_ends(*size, chosen.repeats)))


if __name__ == "__main__":
    main()
