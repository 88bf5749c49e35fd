"""Layouts: where a mirror put the files of a published dataset.

A clip keeps the name that was published, whatever folders a mirror moved it to, so that digests,
draws and records are those of the dataset rather than of the mirror. Conventions: clips have one
home: the published folder where it holds any, else one of that name further down, else the folder
that holds most of them; capitals in names (`.WAV`) do not matter. Contents: Layout, `locate`,
`find_table`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Layout(NamedTuple):
    """Where clips lie."""

    root: Path  # below which `places` are
    home: str  # folder below the root that was searched; "": that root itself
    places: dict[str, str]  # every clip that is there, by its published name: where it lies
    words: str  # how they are laid out; "": as published

    @property
    def moved(self) -> dict[str, str]:
        """The places that are not the published ones."""
        return {name: place for name, place in self.places.items() if name != place}


def locate(
    root: Path,
    files: Iterable[str],
    published: str,
    keep: int,
    canonical: Callable[[str], str | None],
) -> Layout:
    """Where the clips of a dataset lie among the `files` of a tree, as paths below `root`.

    Published are `<published>/<tail>`, the tail being the last `keep` parts of a path: the file's
    name, perhaps with its fold's folder. `canonical` gives the published tail for one as found,
    None for what is no clip. Where whole published paths lie below another folder, as an archive's
    own, that one becomes the root.
    """
    homes: dict[str, dict[str, str]] = defaultdict(dict)
    for file in files:
        parts = file.split("/")
        tail = "/".join(parts[-keep:])
        if len(parts) < keep or (known := canonical(tail)) is None:
            continue
        found = homes["/".join(parts[:-keep])]
        if known == tail or known not in found:
            found[known] = file
    if not homes:
        return Layout(root, published, {}, "")

    def rank(home: str) -> tuple[bool, bool, int, int, str]:
        named = home.endswith(f"/{published}")
        return home != published, not named, -len(homes[home]), home.count("/"), home

    home = min(homes, key=rank)
    places = {f"{published}/{tail}": place for tail, place in homes[home].items()}
    above = home.removesuffix(published).rstrip("/")
    if home.endswith(f"/{published}"):
        root = root / above
        places = {name: place.removeprefix(f"{above}/") for name, place in places.items()}
    return Layout(root, home, places, _words(published, home, places))


def _words(published: str, home: str, places: Mapping[str, str]) -> str:
    """How a layout differs from the published one."""
    words = [f"clips in {home or 'the root'}/"] if home != published else []
    if others := sum(Path(a).suffix != Path(b).suffix for a, b in places.items()):
        words.append(f"{others} with endings in capitals")
    return ", ".join(words)


def find_table(files: Iterable[str], published: str, beside: str = "") -> str | None:
    """Where the table that was published as `published` lies; None where it is not there.

    Below the folder `beside` first, then the least deep file of its name, in capitals or not.
    """
    name = published.rpartition("/")[2].casefold()
    found = [file for file in files if file.rpartition("/")[2].casefold() == name]
    first = f"{beside}/{published}" if beside else published
    return min(found, key=lambda file: (file != first, file.count("/"), file), default=None)


def joined(*words: str) -> str:
    """What there is to say of a layout, in one phrase; "" where there is nothing."""
    return ", ".join(filter(None, words))


def of_table(place: str, published: str) -> str:
    """Where a table lies, unless that is its published place."""
    return "" if place == published else f"table {place}"
