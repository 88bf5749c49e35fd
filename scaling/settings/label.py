"""Label: what a person calls a trial, beside its id, as `W32-damped-fold3-seed1`.

A label holds the width and the settings that tell the trial from the others of its study, network
first and seed last; a value at its default is left out. It consists of letters, digits and
`_ . + -`, so it can name a file, and is unique among the trials that it was made for. The identity
of a trial is its id alone. Contents: `labels`, `trial_labels`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scaling.settings.catalog import defaults
from scaling.settings.rows import flat
from scaling.settings.trial import Trial

LONGEST = 32  # characters of a label: beside id, size and time it fits 80 columns
WORDS = (16, 6, 4)  # characters of its words without a number: the most that fit are kept
DIGITS = 6  # of the id, at the end of a label that is cut or that two trials share
# Groups in the order in which a label names them, and in which they are looked at: a setting that
# tells no more trials apart than those looked at before it is left out.
NAMED = (
    *("network", "objective", "pruning", "transfer", "augment", "training"),
    *("sound", "microphones", "evaluation", "split", "seed"),
)
LOOKED_AT = (
    *("network", "objective", "pruning", "transfer", "augment", "microphones", "split", "seed"),
    *("sound", "training", "evaluation"),
)
ABBREVIATED = {
    "network.width": "W",
    "network.depth": "D",
    "network.pointwise": "K",
    "split.clips_per_class": "clips",
    "split.validation_fold": "val",
}
SIZE = ("network.width", "network.depth", "network.pointwise")  # said at their default, too
# what a trial that stands alone is told by
ALONE = (
    *("network.kind", "network.width", "network.damping", "objective.kind", "pruning.kind"),
    *("split.fold", "seed"),
)


def trial_labels(trials: Iterable[Trial]) -> dict[str, str]:
    """The labels of trials that are shown together, by id."""
    return labels({trial.id: flat(trial) for trial in trials})


def labels(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The same of flattened settings by id, as `flat` makes them and a manifest's rows hold them;
    other columns are ignored.
    """
    said: dict[str, dict[str, str]] = {}  # words by id, by setting
    groups = 1
    for name in sorted(_names(settings), key=lambda name: _place(name, LOOKED_AT)):
        words = _words(name, {trial: each.get(name) for trial, each in settings.items()})
        together = [each.values() for each in (*said.values(), words)]
        apart = len(set(zip(*together, strict=True)))
        if apart > groups or name == "network.width" or len(settings) == 1:
            said[name], groups = words, apart
    order = sorted(said, key=lambda name: _place(name, NAMED))
    made = {
        trial: _bounded([said[name][trial] for name in order if said[name][trial]])
        for trial in settings
    }
    count = Counter(made.values())
    return {
        trial: text if text and count[text] == 1 else f"{_cut(text)}-{trial[:DIGITS]}".lstrip("-")
        for trial, text in made.items()
    }


def _place(name: str, groups: Sequence[str]) -> int:
    return groups.index(name.partition(".")[0])


def _names(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The settings that may tell these trials apart."""
    known = dict.fromkeys(name for each in settings.values() for name in each)
    names = [name for name in known if name.partition(".")[0] in NAMED]
    if len(settings) == 1:
        return [name for name in names if name in ALONE]
    differ = (len({str(each.get(name)) for each in settings.values()}) > 1 for name in names)
    return [n for n, d in zip(names, differ, strict=True) if d or n == "network.width"]


def _words(name: str, values: Mapping[str, Any]) -> dict[str, str]:
    """How one setting is said in each trial's label."""
    plain = {trial: _plain(name, value) for trial, value in values.items()}
    leaf = ABBREVIATED.get(name, name.rpartition(".")[2])
    if name == "network.damping":
        leaf = "damped"
        if len(set(plain.values()) - {""}) == 1:  # nothing to tell apart but whether
            return {trial: leaf if value else "" for trial, value in plain.items()}
    if name == "transfer.trial":
        return {trial: "transfer" if value else "" for trial, value in plain.items()}
    if name == "objective.teachers":  # objective.ensemble says how many
        return dict.fromkeys(values, "")
    numbers = all(_is_number(value) for value in values.values() if value is not None)
    front = leaf if numbers else ""
    return {
        trial: (leaf if values[trial] is True else f"{front}{value}") if value else ""
        for trial, value in plain.items()
    }


def _plain(name: str, value: Any) -> str:
    """A value in safe characters; nothing for what is off, missing, or at its default."""
    if value is None or value != value or value is False:  # NaN: missing in a table
        return ""
    if name not in SIZE and value == defaults().get(name):
        return ""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else f"{value:.3g}"
    return re.sub(r"[^\w.+-]+", "_", str(value)).strip("-.")[: WORDS[0]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _bounded(words: Sequence[str]) -> str:
    """The words as one label; too long, words without a number are cut, then the label is."""
    for most in WORDS:
        label = "-".join(word if re.search("[0-9]", word) else word[:most] for word in words)
        if len(label) <= LONGEST:
            return label
    return _cut(label)


def _cut(label: str) -> str:
    """As many of a label's words as leave room for digits of the id."""
    room = LONGEST - DIGITS - 1
    return label if len(label) <= room else label[: room + 1].rpartition("-")[0]
