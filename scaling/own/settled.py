"""Settled: changes of a trial in which a person names a part of their own, made complete.

The source's digest is set, options are checked, and settings that the part takes no notice of are
off. Contents: `settled`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from scaling.own import options, parts
from scaling.own.names import GROUPS, OFF, Group, idle, is_own

# what parts are given beside these, by keyword where they take it
ALSO = {
    "network.kind": ("classes", "mels", "frames"),
    "sound.features.kind": ("rate", "mels", "hop"),
    "augment.transform": ("store", "sound", "device", "waves", "stream"),
    "objective.kind": ("logits", "targets"),
}


def settled(
    changes: Mapping[str, Any],
    now: Callable[[str], Any],
    shipped: Callable[[str], Collection[str]],
) -> dict[str, Any]:
    """The changes with all that follows from own parts among them. `now` gives a setting of the
    trial as it is, `shipped` the words that a setting takes.

    Raises ValueError in one line for a part that is not there, does not import or has no such
    option.
    """
    found = dict(changes)
    for group in GROUPS:
        _settle(group, found, now, shipped)
    return found


def _settle(
    group: Group,
    found: dict[str, Any],
    now: Callable[[str], Any],
    shipped: Callable[[str], Collection[str]],
) -> None:
    prefix, field = group.prefix, group.field
    dotted = f"{prefix}options."
    single = {name: found.pop(name) for name in [*found] if name.startswith(dotted)}
    kind = found.get(field, now(field))
    listed = shipped(field)
    if field in found and kind not in listed and not is_own(kind):
        kind = found[field] = parts.entries(group.entry_points).get(str(kind), kind)
    if not is_own(kind):
        if single:
            raise ValueError(
                f"{next(iter(single))}: {field}={kind} has no options, only a part of your own "
                "has (module:Class)"
            )
        if field in found and is_own(now(field)):
            found.setdefault(f"{prefix}source", "")
            found.setdefault(f"{prefix}options", ())
        return
    renamed = field in found and kind != now(field)
    asked = field in found or single or f"{prefix}options" in found
    if not asked or f"{prefix}source" in found:
        return
    thing, source = parts.named(kind, group)
    found[field], found[f"{prefix}source"] = kind, source
    words = _words(found.get(f"{prefix}options"), () if renamed else now(f"{prefix}options"))
    together = options.split(words) if words else {}
    for name, value in single.items():
        together[name.removeprefix(dotted)] = options.written(value)
    given = (*group.given, *ALSO.get(field, ()))
    words = [f"{name}={value}" for name, value in together.items()]
    found[f"{prefix}options"] = options.stated(kind, prefix, thing, words, given)
    _idle(group, found, options.takes(thing), kind, renamed)


def _words(asked: Any, before: Any) -> list[str]:
    if asked is None:
        return [*(before or ())]
    if isinstance(asked, str):
        return [word for word in asked.split(",") if word]
    if isinstance(asked, Mapping):
        return [f"{name}={options.written(value)}" for name, value in asked.items()]
    return [*asked]


def _idle(
    group: Group, found: dict[str, Any], taken: Collection[str], kind: str, renamed: bool
) -> None:
    """What another kind had of settings that this one takes no notice of is off; one that a person
    states is refused.
    """
    for name in group.given:
        dotted, off = f"{group.prefix}{name}", OFF[name]
        if name in taken:
            continue
        if dotted in found and str(found[dotted]) not in (str(off), f"{off:g}"):
            raise idle(dotted, found[dotted], kind)
        if renamed:
            found[dotted] = off
