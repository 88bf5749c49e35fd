"""Parts: who may have own code imported, and what is found by its name.

What a person names in a command or a study is looked for and imported (`named`). What a record or
a driver's message names is imported only of sources that this process holds: those that a person
named here, those that the driver sent along, and those in the folders of OVERHEAR_PARTS or of an
installed package's entry point, if they are the ones that the trial was made of (`loaded`).
Contents: `look_in`, `named`, `places`, `loaded`, `entries`.
"""

import importlib.util
import os
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from scaling.own import sources
from scaling.own.names import Group, module_of
from scaling.own.sources import Sources

VARIABLE = "OVERHEAR_PARTS"
_BESIDE: list[Path] = []


def look_in(folder: Path) -> None:
    """Look for parts in the folder of a study, too."""
    if folder not in _BESIDE:
        _BESIDE.insert(0, folder)


def _consented() -> list[Path]:
    listed = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(each).expanduser().absolute() for each in listed if each]


def _places() -> list[Path]:
    """Where a part is looked for that a person names now."""
    return list(dict.fromkeys([*_consented(), *_BESIDE, Path.cwd()]))


@cache
def entries(group: str) -> dict[str, str]:
    """What installed packages list in a group of entry points: `module:Class` by name."""
    return {each.name: each.value for each in entry_points(group=group)}


def _installed(kind: str, group: Group) -> Sources | None:
    """The sources of a part that an installed package lists."""
    if kind not in entries(group.entry_points).values():
        return None
    module = module_of(kind)
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin)
    folder = file.parent.parent if file.name == "__init__.py" else file.parent
    return sources.read(folder, module)


def named(kind: str, group: Group) -> tuple[Any, str]:
    """What a person names by `module:Class` now, and the digest of its source. Raises ValueError
    in one line where it is not there or does not import.
    """
    try:
        there = _installed(kind, group) or sources.found(_places(), kind)
        sources.hold(there)
        return sources.imported(kind, group.what), there.digest
    except ValueError as error:
        raise ValueError(f"{group.field}={error}") from error.__cause__


def places(kinds: Iterable[str]) -> list[str]:
    """The code that parts of these names import, each file or package with its digest."""
    found = []
    for module in dict.fromkeys(map(module_of, kinds)):
        beside = (sources.read(folder, module) for folder in _consented())
        if there := next(iter(sources.held(module)), None) or next(filter(None, beside), None):
            found.append(f"{there.place} ({there.digest[:12]})")
    return found


def loaded(kind: str, source: str, group: Group) -> Any:
    """What a trial names. Raises ValueError in one line where its source is not at hand, or differs
    from what the trial was made of.
    """
    module = module_of(kind)
    there = next(iter(sources.held(module)), None)
    if there is None or there.digest != source:
        other = _installed(kind, group)
        if other is None:
            candidates = (sources.read(folder, module) for folder in _consented())
            other = next(filter(None, candidates), None)
        there = other or there
    if there is None:
        raise ValueError(
            f"{group.field}={kind}: a record names this code, which runs only if you say where it "
            f"lies: {VARIABLE}=FOLDER (its source is {source[:12]})"
        )
    if there.digest != source:
        raise ValueError(
            f"{group.field}={kind}: {there.place} is {there.digest[:12]}, the trial was made of "
            f"{source[:12]}: bring that version back, or run the trial again as it is now"
        )
    sources.hold(there)
    return sources.imported(kind, group.what)
