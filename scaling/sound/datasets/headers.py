"""Headers: how long clips are, at which rates and in how many channels, without decoding them.

Contents: Header, `look` at the files, `facts` of all clips and of those of each class and device.
"""

from collections import Counter
from typing import Any, NamedTuple

import pandas as pd
import soundfile

from scaling.sound.cache import each
from scaling.sound.clips import Clips, open_regular

LOOKED_AT = 20_000  # clips: some seconds on a laptop's disk


class Header(NamedTuple):
    """What a file's header announces."""

    seconds: float
    rate: int  # Hz
    channels: int


def look(clips: Clips, first: int = LOOKED_AT) -> list[Header | None]:
    """The headers of the first clips; None for one that cannot be read."""

    def heard(clip: str) -> Header | None:
        try:
            # not by its path: the library would guess by the files beside it
            with open_regular(clips.path(clip)) as file:
                found = soundfile.info(file)
        except (OSError, soundfile.SoundFileError, TypeError, ValueError):
            return None
        return Header(found.duration, found.samplerate, found.channels)

    return list(each(heard, clips.table["clip"].head(first).tolist(), None, ""))


def facts(clips: Clips, first: int = LOOKED_AT) -> dict[str, Any]:
    """By name: seconds (min, median, max), clips by rate, by channels, unread headers; the same
    of each class and device; and how many clips were looked at.
    """
    heard = look(clips, first)
    table = clips.table.head(first)
    found: dict[str, Any] = {"headers": len(heard), **_of(heard)}
    for column in ("label", "device"):
        names = table[column]
        if (names != "").any():
            rows = names.groupby(names).indices
            parts = {str(name): [heard[row] for row in at] for name, at in rows.items()}
            found[f"by_{column}"] = {
                name: {"clips": len(part), **_of(part)} for name, part in sorted(parts.items())
            }
    return found


def _of(heard: list[Header | None]) -> dict[str, Any]:
    read = [each for each in heard if each]
    if not read:
        return {"unread": len(heard)}
    seconds = pd.Series([each.seconds for each in read])
    return {
        "seconds": {
            "min": round(float(seconds.min()), 3),
            "median": round(float(seconds.median()), 3),
            "max": round(float(seconds.max()), 3),
        },
        "rates": {str(n): count for n, count in sorted(Counter(e.rate for e in read).items())},
        "channels": {
            str(n): count for n, count in sorted(Counter(e.channels for e in read).items())
        },
        **({"unread": len(heard) - len(read)} if len(read) < len(heard) else {}),
    }
