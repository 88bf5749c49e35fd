"""Public weights: the file of a network that others trained, found beside the datasets."""

import os
from pathlib import Path

from scaling.sound import checksums
from scaling.storage import shown

FOLDER = "weights"  # below a data root


def find(name: str, address: str) -> Path:
    """A file of weights: as it is, else in the folder weights below OVERHEAR_DATA or data/.

    Raises ValueError that names the places looked at, and the `address` to fetch it from.
    """
    bases = filter(None, (os.environ.get("OVERHEAR_DATA"), "data"))
    places = list(dict.fromkeys([Path(name), *(Path(base) / FOLDER / name for base in bases)]))
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"transfer.weights={shown(name)} not found at {', '.join(shown(str(p)) for p in places)}: "
        f"fetch it from {address}"
    )


def digest(path: Path) -> str:
    """16 hex digits of the SHA-256 of a file of weights."""
    return checksums.content(path)[:16]
