"""An FFT longer than its window: zeros after it, frames where they were, on every backend."""

import pytest
import torch

from scaling.settings import Features, Trial, changed
from scaling.shipping.waveform import exportable
from scaling.sound import frontends
from scaling.sound.mel import mel_filters

LONG = Features(kind="log_mel", window=600, fft=1024, hop=100, mels=40)
RATE = 16_000


def test_features_are_those_of_a_centred_stft():
    """torch.stft pads half its FFT and puts the window in the middle: the same samples."""
    waves = torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0))
    hann = torch.hann_window(600)
    spectrum = torch.stft(
        waves, 1024, 100, 600, hann, center=True, pad_mode="reflect", return_complex=True
    )
    mel = torch.from_numpy(mel_filters(RATE, 1024, 40, 0.0, 8000.0, "slaney")).float()
    plain = 10 * (mel @ spectrum.abs().square()).clamp(min=1e-10).log10()
    made = {name: frontends.BACKENDS[name](LONG, RATE) for name in ("overhear", "torchaudio")}
    made["exported"] = exportable(made["overhear"], 4_000)
    for name, frontend in made.items():
        features = frontend(waves)
        assert features.shape == (2, 40, 41), name
        torch.testing.assert_close(features, plain, atol=1e-3, rtol=1e-4, msg=name)
    short = LONG.model_copy(update={"fft": 0})
    other = frontends.BACKENDS["overhear"](short, RATE)(waves)
    assert other.shape == plain.shape
    assert (other - plain).abs().mean() > 0.1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sound.features.fft": 512}, "fft=512: it adds zeros to a window of 512 samples: above"),
        (
            {"sound.features.fft": 1024, "sound.features.kind": "vggish"},
            "fft=1024 changes nothing: kind=vggish",
        ),
        (
            {"sound.features.fft": 1024, "sound.features.trainable": "stft"},
            "fft=1024: trainable=stft learns",
        ),
    ],
)
def test_what_has_no_longer_fft(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        changed(trial, {"sound.features.range_db": 0.0, **changes})
