"""One scene through two devices, as a network sees it: its standardized features.

Devices are those of a dataset whose clips were recorded by several at once, or a trial's
microphones, of which RECORDED_AS is none. Clips are one scene where their names differ in the
device alone. Source: the question of Koutini et al. 2021, Figure 2.
Contents: SceneThrough, RECORDED_AS, `through`.
"""

# B clips, F mel bands, N frames

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scaling.machine import Machine
from scaling.settings import Trial
from scaling.settings.microphones import RECORDED_AS
from scaling.sound import frontends
from scaling.sound.microphones import RECORDED
from scaling.sound.store import Store
from scaling.spelling import nearest
from scaling.training.inputs import Listener


class SceneThrough(NamedTuple):
    """One scene through two devices."""

    clips: tuple[str, str]  # their names; one clip through two microphones is named twice
    devices: tuple[str, str]
    label: str
    features_2FN: NDArray[np.float32]  # standardized by the training clips' mean and deviation


def through(
    trial: Trial, store: Store, machine: Machine, clip: str = "", devices: Sequence[str] = ()
) -> SceneThrough:
    """A scene as this trial's network sees it through two devices: those named, else the first two
    that there are; `clip` names the scene by any of its recordings, else it is the first.

    Raises ValueError for a device or clip that is not there, a scene that one of them did not
    record, and for clips of one device.
    """
    listener = Listener(trial, store, machine)
    table = listener.table
    if clip and clip not in set(table["clip"]):
        raise ValueError(f"--clip {clip}: no such clip{nearest(clip, table['clip'])}")
    if trial.microphones.heard:
        known = [RECORDED_AS, *trial.microphones.test, *trial.microphones.train]
    else:
        known = sorted({*table["device"].dropna()} - {""})
    chosen = _two(devices, known)
    if trial.microphones.heard:
        at = 0 if not clip else int(np.flatnonzero(table["clip"] == clip)[0])
        number = {RECORDED_AS: RECORDED, **{n: i for i, n in enumerate(trial.microphones.heard)}}
        heard = [(at, number[device]) for device in chosen]
    else:
        heard = [(at, RECORDED) for at in _parallel(listener, clip, chosen)]
    standardized = _standardized(listener, heard)
    names = [str(table["clip"].iloc[at]) for at, _ in heard]
    label = str(table["label"].iloc[heard[0][0]])
    return SceneThrough((names[0], names[1]), chosen, label, standardized)


def _two(devices: Sequence[str], known: Sequence[str]) -> tuple[str, str]:
    """The two devices that are shown."""
    if len(known) < 2:
        raise ValueError(
            "these clips are of one device and pass through no microphone: choose a dataset of "
            "several devices, or a recipe with microphones.test, such as esc10_microphones"
        )
    for device in devices:
        if device not in known:
            raise ValueError(f"--device {device}: no such device (known: {', '.join(known)})")
    if len(devices) not in (0, 2) or len(set(devices)) != len(devices):
        raise ValueError(f"{len(set(devices))} --device: name two, of {', '.join(known)}")
    first, second = devices or known[:2]
    return first, second


def _parallel(listener: Listener, clip: str, devices: tuple[str, str]) -> list[int]:
    """The rows of one scene's clips by two devices."""
    table = listener.table
    of_scene: list[dict[str, int]] = []
    for device in devices:
        at = np.flatnonzero(table["device"] == device)
        of_scene.append({_scene(table["clip"].iloc[k], device): int(k) for k in at})
    both = [scene for scene in of_scene[0] if scene in of_scene[1]]
    if clip:
        row = table[table["clip"] == clip].iloc[0]
        both = [scene for scene in both if scene == _scene(clip, str(row["device"]))]
    if not both:
        raise ValueError(
            f"no scene {f'of --clip {clip} ' if clip else ''}was recorded by both "
            f"{devices[0]} and {devices[1]}: name other devices with --device"
        )
    return [scenes[both[0]] for scenes in of_scene]


def _scene(clip: str, device: str) -> str:
    """A clip's name without its device, the last such word in it."""
    head, *rest = re.split(rf"(?<![A-Za-z0-9]){re.escape(device)}(?![A-Za-z0-9])", clip)
    return device.join([head, *rest[:-1]]) + "\n" + rest[-1] if rest else clip


@torch.no_grad()
def _standardized(listener: Listener, heard: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """The features of these clips, each through its microphone, as the network is given them."""
    standardize = frontends.Standardize(*listener.statistics())
    made: list[Tensor] = [
        standardize(listener.features(np.array([at]), microphone).cpu())[0]
        for at, microphone in heard
    ]
    features_2FN: NDArray[np.float32] = torch.stack(made).numpy()
    return features_2FN
