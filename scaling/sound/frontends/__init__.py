"""Front ends: waves to what the network sees, on any device.

Sources: `perceptual` is CP-ResNet's (power, decibels, A-weighting of every FFT bin, then mel bands
of decibels: a band averages logarithms); `log_mel` is the usual one (power, mel bands, decibels);
`gammatone` the same with nnAudio's bands, the magnitude responses of Slaney's (1993) gammatone
filters at the FFT's bins; `cqt` and `vqt` are decibels of librosa's constant-Q and variable-Q
transforms, by nnAudio's kernels; `vggish` is what VGGish was trained on (Hershey et al. 2017:
magnitude, HTK's mel bands, ln(x + 0.01)); `passt` what PaSST and EfficientAT were (their public
code, models/preprocess.py: power, Kaldi's mel bands, which are HTK's, (ln(x + 1e-5) + 4.5) / 5).
Conventions: waves are float32, full scale 1, windows periodic Hann windows (of `passt` symmetric).
Frame n is centred on sample n hop, edges reflected; T samples give 1 + T // hop frames. `passt`
does so from the second sample on, as the first has none before it: 1 + (T - 1) // hop. Decibels are
10 log10 of power, at least -100 (or those of `floor`), and at least `range_db` below the clip's
loudest value where that is set (in `perceptual` before the weighting). librosa in float64 with
reflected edges is the judge. Of `cqt` and `vqt`, whose long filters few clips could mirror, there
are zeros beyond the edges, as in librosa. A frame of `vggish` begins at sample n hop and is whole:
there are 1 + (T - window) // hop; its FFT has the next power of two as its size. The definition in
float64 is the judge.
A trainable front end holds its filters as parameters, scaled so that the largest number of each is
1 (an optimizer's steps then mean the same to all of them), and beside them as they began.
Shapes, here and in the modules of this package: B clips, T samples, N frames, Q FFT bins, F bands,
K filters.
Contents: `build`, `backend_for` and its BACKENDS; `statistics`, `Standardize`.
"""

import importlib.util
from collections.abc import Callable

from torch import nn

from scaling.own.names import OWN, is_own
from scaling.settings import Features
from scaling.sound.frontends.constant_q import ConstantQ
from scaling.sound.frontends.libraries import imported, missing
from scaling.sound.frontends.overhear import Overhear
from scaling.sound.frontends.own import build as build_own
from scaling.sound.frontends.plain import Plain
from scaling.sound.frontends.spectra import ConvolutionSpectrum, Fourier, Kernels, fft_size
from scaling.sound.frontends.standardize import Standardize, statistics
from scaling.spelling import nearest, shortened

__all__ = ["BACKENDS", "Standardize", "backend_for", "build", "statistics"]


def build(features: Features, rate: int, backend: str = "auto") -> nn.Module:
    """A module from waves_BT (float32, full scale 1, at `rate` Hz) to features_BFN (float32, dB or,
    of `vggish` and, scaled, `passt`, natural logarithms).

    On a CPU, features of a clip by `overhear` have the same bits whatever else is in the batch and
    however many threads torch may use. Raises ValueError as `backend_for` does, and for mel bands
    without an FFT bin; the module does for waves shorter than half a window, or than a whole one of
    `vggish`.
    """
    name = backend_for(features, backend)
    return build_own(features, rate) if name == OWN else BACKENDS[name](features, rate)


def backend_for(features: Features, backend: str = "auto") -> str:
    """The backend that computes these features: the one named, or the usual one.

    Raises ValueError for a backend that is unknown or has no such front end, and where a library
    that it needs is not installed.
    """
    if backend not in ("auto", *BACKENDS):
        hint = nearest(backend, ["auto", *BACKENDS])
        raise ValueError(f"frontend_backend={shortened(backend)}: no such backend{hint}")
    able = list(BACKENDS)
    if is_own(features.kind):
        if backend != "auto":
            raise ValueError(
                f"frontend_backend={backend} has no kind={features.kind}, it is your own: auto"
            )
        return OWN
    if features.constant_q or features.trainable == "stft":
        able = ["nnaudio"]
    elif features.kind in ("vggish", "passt"):
        able = ["overhear"]
    name = able[0] if backend == "auto" else backend
    if name not in able:
        what = "trainable=stft" if features.trainable == "stft" else f"kind={features.kind}"
        raise ValueError(f"frontend_backend={name} has no {what}: take {able[0]}, or auto")
    needed = {"torchaudio": "torchaudio", "nnaudio": "nnAudio"}.get(name, "")
    for library in {needed, "nnAudio" if features.kind == "gammatone" else ""} - {""}:
        if importlib.util.find_spec(library) is None:
            raise ValueError(missing(library, "it is not installed"))
    return name


def _torchaudio(features: Features, rate: int) -> nn.Module:
    library = imported("torchaudio.transforms", "torchaudio")
    # its own window would lie in the middle of the zeros
    longer = {"window_fn": lambda _: Fourier(features).window} if features.fft else {}
    spectrum = library.Spectrogram(
        fft_size(features), hop_length=features.hop, center=False, **longer
    )
    return Plain(features, rate, spectrum)


def _nnaudio(features: Features, rate: int) -> nn.Module:
    if features.constant_q:
        return ConstantQ(features, rate)
    if features.fft:
        raise ValueError(
            f"sound.features.fft={features.fft}: nnaudio has no zeros after its windows: take "
            "another --frontend-backend"
        )
    library = imported("nnAudio.features.stft", "nnAudio")
    stft = library.STFT(
        features.window, hop_length=features.hop, center=False, sr=rate, verbose=False
    )
    if features.trainable != "stft":
        return Plain(features, rate, ConvolutionSpectrum(stft))
    kernels_KT = (stft.wcos - 1j * stft.wsin)[:, 0].numpy()
    return Plain(features, rate, Kernels(kernels_KT, features.hop, trainable=True))


BACKENDS: dict[str, Callable[[Features, int], nn.Module]] = {
    "overhear": Overhear,
    "torchaudio": _torchaudio,
    "nnaudio": _nnaudio,
}
