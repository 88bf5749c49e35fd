"""Named random streams: one seed, one stream per purpose.

Every chance in a trial comes from `stream(seed, purpose, epoch, ...)`. No generator outlives its
purpose, so nothing of a generator's state needs saving: a resumed epoch draws what an undisturbed
one draws.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def key(seed: int, *purpose: str | int) -> int:
    """A 128-bit number that depends on the seed and on every word of the purpose, on every machine
    alike.
    """
    words = "\x1f".join(f"{type(word).__name__}:{word}" for word in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:16], "little")


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """A fresh numpy generator for one purpose, as in `stream(seed, "roll", epoch)`."""
    return np.random.Generator(np.random.Philox(key=key(seed, *purpose)))


def torch_stream(seed: int, *purpose: str | int, device: str = "cpu") -> "torch.Generator":
    """The same for draws that must happen in torch; 63 bits of the key seed it."""
    import torch  # whoever reads a table of clips does without

    generator = torch.Generator(device=device)
    generator.manual_seed(key(seed, *purpose) % 2**63)
    return generator
