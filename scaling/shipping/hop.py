"""Hop: how far apart the windows of a long recording begin. No torch, so that a mistake is told
before it is loaded. Contents: `hop_samples`.
"""

from scaling.settings import Sound

FINEST = 100  # windows that begin within one clip, at most


def hop_samples(hop: float | None, sound: Sound) -> int:
    """Samples from window to window, of a hop in seconds; None: a clip's length, so that all is
    heard once. Raises ValueError for less than a hundredth of a clip and more than a clip.
    """
    if hop is None:
        return sound.samples
    samples = round(hop * sound.rate)
    if not sound.samples / FINEST <= samples <= sound.samples:
        raise ValueError(
            f"hop {hop:g} must be from {sound.seconds / FINEST:g} to {sound.seconds:g} s, the "
            "length of this model's clips: a longer hop would skip what lies between two windows"
        )
    return samples
