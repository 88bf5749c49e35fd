"""The embedded dataset: ten sound scenes made from a seed, so that all runs without a download.

Every clip is 1 s at 16 kHz, named `scene/town/recording/device`. What a scene is lies in small
time-frequency patterns; the scenes come in five pairs that differ in one of them: rising or
falling, slow or fast, dense or sparse, grouped or even, gliding or stepping. A scene's colour helps
too, on the device that was trained on; other devices have other colours, and every device hears the
same recordings, as in TAU Urban Acoustic Scenes Mobile. Each town has a background of its own and
each fold two towns: what is held out are other places.
Conventions: all is drawn from `stream(SEED, "synthetic", ...)` by name, so that a clip is the same
in any order and on any machine, up to rounding; waves have a root mean square of 1 until a device
has heard them. Contents: difficulty, scenes, towns, devices, `decode`, `scan`.
"""

# T samples, Q frequencies, K slow waves over the pitch, M events, L samples of an event

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scaling.seeds import stream
from scaling.sound.clip_table import table
from scaling.sound.clips import Clips, Dataset, Decoded

VERSION = 1  # raised when code below changes what is heard: it is part of the clips' digest
SEED = 2020
RATE = 16_000  # Hz
T = RATE  # one second: frequencies are 1 Hz apart
RECORDINGS = 10  # of each scene in each town
FOLDS = 5

Wave = np.ndarray[Any, Any]
Draw = np.random.Generator
TIME_T = np.arange(T) / RATE  # seconds
FREQUENCY_Q = np.fft.rfftfreq(T, 1 / RATE)  # Hz
PITCH_Q = np.log2(np.maximum(FREQUENCY_Q, 50) / 50) / np.log2(RATE / 2 / 50)  # 0: 50 Hz, 1: 8 kHz
_TURNS = np.pi * np.outer(np.arange(1, 6), PITCH_Q)
SLOW_KQ = np.concatenate([np.cos(_TURNS), np.sin(_TURNS)])


class Difficulty(NamedTuple):
    """What makes the scenes easy or hard to tell apart."""

    noise_db: tuple[float, float] = (-8.0, 8.0)  # background over scene
    guest: float = 0.7  # chance that another scene is heard behind
    guest_db: tuple[float, float] = (-12.0, -3.0)  # that scene over the first
    colour_db: float = 4.0  # colour that a scene's recordings share: a wide network leans on it
    place_db: float = 3.0  # colour of one recording, which blurs the former
    town_db: float = 3.0  # colour of a town's background
    device: float = 1.0  # how far devices differ: 0 makes every microphone flat


DIFFICULTY = Difficulty()


def between(random: Draw, low: float, high: float) -> float:
    """A number between two bounds, evenly on a logarithmic scale."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def factor(level_db: Any) -> Any:
    """What a level in dB does to amplitudes."""
    return 10 ** (level_db / 20)


def even(wave_T: Wave) -> Wave:
    """The same wave at a root mean square of 1."""
    scaled_T: Wave = wave_T / np.sqrt(np.mean(wave_T**2))
    return scaled_T


def smooth(random: Draw, size_db: float) -> Wave:
    """A random response over the frequencies that changes slowly with the pitch, in dB."""
    gain_db_Q: Wave = random.normal(0, size_db / np.sqrt(5), len(SLOW_KQ)) @ SLOW_KQ
    return gain_db_Q


# The scenes. Each draws its own pitches, tempos and times, so widely that the two of a pair overlap
# in everything but the one pattern that tells them apart.


def calls(random: Draw, rising: bool) -> Wave:
    """Short whistles that glide: larks over a meadow upwards, gulls in a harbour downwards."""
    many = int(random.integers(3, 8))
    length = round(between(random, 0.07, 0.18) * RATE)
    along_L = np.arange(length) / length
    octaves = between(random, 0.5, 1.2) * (1 if rising else -1)
    centre_M = between(random, 900, 4500) * 2 ** random.normal(0, 0.1, many)
    pitch_ML = centre_M[:, None] * 2 ** (octaves * (along_L - 0.5))
    phase_ML = 2 * np.pi * np.cumsum(pitch_ML, axis=1) / RATE
    calls_ML = random.uniform(0.4, 1, (many, 1)) * np.sin(np.pi * along_L) * np.sin(phase_ML)
    wave_T = np.zeros(T)
    for call_L, start in zip(calls_ML, random.integers(0, T - length, many), strict=True):
        wave_T[start : start + length] += call_L
    return even(wave_T)


def motor(random: Draw, beats: tuple[float, float]) -> Wave:
    """A hum with many harmonics that throbs: slowly in a garage, fast behind a field's tractor."""
    drift_T = 1 + 0.03 * np.sin(2 * np.pi * between(random, 0.3, 1.5) * TIME_T)
    phase_T = 2 * np.pi * np.cumsum(between(random, 60, 160) * drift_T) / RATE
    softness = between(random, 0.55, 0.9)  # of a harmonic over the one below it
    hum_T = np.sin(phase_T) / (1 - 2 * softness * np.cos(phase_T) + softness**2)
    throb_T = 0.5 + 0.5 * np.cos(2 * np.pi * (between(random, *beats) * TIME_T + random.random()))
    return even(hum_T * throb_T ** between(random, 1, 3))


def drops(random: Draw, per_second: tuple[float, float], ring: tuple[float, float]) -> Wave:
    """Clicks at random times: dense and short in a kitchen's pan, sparse and longer in a hearth."""
    many = 1 + random.poisson(between(random, *per_second))
    clicks_T = np.zeros(T)
    clicks_T[random.integers(0, T, many)] = random.lognormal(0, 0.8, many)
    grain_T = random.normal(size=T) * np.exp(-TIME_T / between(random, *ring))
    return even(np.fft.irfft(np.fft.rfft(clicks_T) * np.fft.rfft(grain_T), T))


def insects(random: Draw, grouped: bool) -> Wave:
    """A high tone in quick pulses: a garden's crickets in groups, an orchard's cicadas evenly."""
    tone_T = np.sin(2 * np.pi * between(random, 2200, 6000) * TIME_T)
    pulses_T = np.sin(np.pi * between(random, 25, 60) * TIME_T) ** 2
    if grouped:
        turn_T = (between(random, 2, 5) * TIME_T + random.random()) % 1
        pulses_T *= np.clip(20 * (random.uniform(0.35, 0.6) - turn_T), 0, 1)
    return even(tone_T * pulses_T)


def alarm(random: Draw, gliding: bool) -> Wave:
    """Two pitches in turn: a siren in the street glides, the bell of a crossing steps."""
    swing_T = np.sin(2 * np.pi * (between(random, 1.5, 5) * TIME_T + random.random()))
    if not gliding:
        swing_T = np.tanh(12 * swing_T)
    pitch_T = between(random, 500, 1400) * 2 ** (between(random, 0.2, 0.5) * swing_T)
    phase_T = 2 * np.pi * np.cumsum(pitch_T) / RATE
    return even(np.sin(phase_T) + random.uniform(0.1, 0.5) * np.sin(2 * phase_T))


SCENES: dict[str, Callable[[Draw], Wave]] = {
    "meadow": lambda random: calls(random, rising=True),
    "harbour": lambda random: calls(random, rising=False),
    "garage": lambda random: motor(random, beats=(4, 9)),
    "field": lambda random: motor(random, beats=(11, 22)),
    "kitchen": lambda random: drops(random, per_second=(90, 260), ring=(0.002, 0.006)),
    "hearth": lambda random: drops(random, per_second=(12, 50), ring=(0.004, 0.012)),
    "garden": lambda random: insects(random, grouped=True),
    "orchard": lambda random: insects(random, grouped=False),
    "street": lambda random: alarm(random, gliding=True),
    "crossing": lambda random: alarm(random, gliding=False),
}
TOWNS = ("alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine")


class Device(NamedTuple):
    """How a recording device changes what it hears."""

    ripple_db: float  # of its smooth response
    notches: int  # narrow gaps in it
    low: float  # Hz: quieter below
    high: float  # Hz: quieter above
    ratio: float  # of its dynamic-range compression, dB in over dB out; 1: none
    hiss_db: float  # its own noise, over the sound


DEVICES: dict[str, Device] = {
    "a": Device(ripple_db=1, notches=0, low=40, high=7800, ratio=1.0, hiss_db=-50),
    "b": Device(ripple_db=3, notches=1, low=120, high=6500, ratio=1.3, hiss_db=-40),
    "c": Device(ripple_db=4, notches=1, low=60, high=5500, ratio=1.5, hiss_db=-40),
    "s1": Device(ripple_db=6, notches=2, low=250, high=5000, ratio=2.0, hiss_db=-30),
    "s2": Device(ripple_db=7, notches=3, low=80, high=4500, ratio=3.0, hiss_db=-30),
}
HOLD = 160  # samples, 10 ms: over which a device's compressor judges loudness


@cache
def response(name: str) -> Wave:
    """A device's response over the frequencies Q, as a factor."""
    device, random = DEVICES[name], stream(SEED, "synthetic", "device", name)
    gain_db_Q = smooth(random, device.ripple_db)
    for centre in random.uniform(0.3, 0.95, device.notches):
        gain_db_Q -= random.uniform(10, 25) * np.exp(-(((PITCH_Q - centre) / 0.02) ** 2))
    gain_db_Q -= 10 * np.log10(1 + (device.low / np.maximum(FREQUENCY_Q, 1)) ** 6)
    gain_db_Q -= 10 * np.log10(1 + (FREQUENCY_Q / device.high) ** 12)
    response_Q: Wave = factor(DIFFICULTY.device * gain_db_Q)
    return response_Q


@cache
def background(town: str) -> Wave:
    """The spectrum of a town's noise: it falls with the pitch, mains hum stands out."""
    random = stream(SEED, "synthetic", "town", town)
    noise_db_Q = smooth(random, DIFFICULTY.town_db) - random.uniform(10, 40) * PITCH_Q
    noise_db_Q[50:1000:50] += random.uniform(0, 25)
    return even(factor(noise_db_Q))


@cache
def colour(scene: str) -> Wave:
    """The response over the frequencies Q that recordings of a scene share, as a factor."""
    colour_Q: Wave = factor(smooth(stream(SEED, "synthetic", "scene", scene), DIFFICULTY.colour_db))
    return colour_Q


@lru_cache(maxsize=16)  # the devices of one recording follow one another
def record(scene: str, town: str, number: int) -> Wave:
    """The complex spectrum of what can be heard at one place in one second."""
    random = stream(SEED, "synthetic", scene, town, number)
    wave_T = SCENES[scene](random)
    if random.random() < DIFFICULTY.guest:
        guest = random.choice([other for other in SCENES if other != scene])
        wave_T = wave_T + factor(random.uniform(*DIFFICULTY.guest_db)) * SCENES[guest](random)
    place_Q = factor(smooth(random, DIFFICULTY.place_db))
    noise_Q = random.normal(0, np.sqrt(T / 2), 2 * len(PITCH_Q)).view(complex) * background(town)
    noise_Q *= factor(random.uniform(*DIFFICULTY.noise_db))
    heard_Q: Wave = np.fft.rfft(wave_T) * colour(scene) * place_Q + noise_Q
    return heard_Q


def hear(heard_Q: Wave, name: str, random: Draw) -> Wave:
    """What a device makes of it: response, compression, hiss; at a level below full scale."""
    device = DEVICES[name]
    wave_T = even(np.fft.irfft(heard_Q * response(name), T))
    if device.ratio > 1:
        energy = np.cumsum(np.pad(wave_T**2, HOLD // 2, mode="reflect"))
        power_T = (energy[HOLD:] - energy[:-HOLD]) / HOLD + 1e-3
        slope = 1 / (1 + DIFFICULTY.device * (device.ratio - 1))  # dB out over dB in
        wave_T = even(wave_T * power_T ** ((slope - 1) / 2))
    wave_T += factor(device.hiss_db) * random.normal(size=T)
    wave_T *= factor(random.uniform(-32, -18))
    peak = float(np.abs(wave_T).max())
    return wave_T / max(1.0, peak / 0.99)


def decode(path: Path) -> Decoded:
    """Make one clip, named `scene/town/recording/device`. Raises ValueError for any other name."""
    scene, town, number, device = path.parts if len(path.parts) == 4 else ("", "", "", "")
    if not (scene in SCENES and town in TOWNS and number.isdecimal() and device in DEVICES):
        raise ValueError("no such clip: the synthetic dataset names them scene/town/number/device")
    hiss = stream(SEED, "synthetic", "hiss", *path.parts)
    wave_T = hear(record(scene, town, int(number)), device, hiss)
    return Decoded(wave_T.astype(np.float32)[:, None], RATE)


def scan(root: Path) -> Clips:
    """Every recording of every scene in every town, as every device hears it."""
    made_by = hashlib.sha256(f"{VERSION} {SEED} {DIFFICULTY} {DEVICES}".encode()).hexdigest()[:16]
    rows = [
        {
            "clip": f"{scene}/{town}/{number}/{device}",
            "label": scene,
            "fold": 1 + place % FOLDS,
            "device": device,
            "city": town,
            "source": f"{scene}/{town}/{number}",
            "fingerprint": made_by,
        }
        for scene in SCENES
        for place, town in enumerate(TOWNS)
        for number in range(RECORDINGS)
        for device in DEVICES
    ]
    return Clips("synthetic", root, table(rows), decode)


DATASET = Dataset(
    name="synthetic",
    about="ten made-up sound scenes in ten towns, heard by five devices: no files, no download",
    folders=None,
    classes=len(SCENES),
    rate=RATE,
    seconds=1.0,
    licence="Apache-2.0",
    address="made by Overhear itself",
    scan=scan,
)
