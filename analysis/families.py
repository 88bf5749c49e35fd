"""Families: in words, what tells trials apart besides their size, seed and fold.

Conventions: only settings with more than one value among the trials are named, in the order of
scaling.config.Trial: damping, taught labels, microphones of the training clips and pruning in words
of their own (`base, static`), every other one by its shortest unambiguous name (`mixup=0.3`).
Contents: SIZE, REPEAT, families, prunings, words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scaling import config

SIZE = ("network.width", "network.depth", "network.pointwise")
REPEAT = ("seed", "split.fold", "split.validation_fold")  # tell apart runs of one size and family
PRUNING = tuple(name for name in config.leaves() if name.startswith("pruning."))
HEARD = ("microphones.train", "microphones.share")
KINDS = {"none": "dense", "static": "static", "magnitude": "iterative"}
LABELS = {"true": "true labels", "uniform": "random labels", "permuted": "permuted labels"}


def families(manifest: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """The family of each trial: `words` of all settings, or the kind of network for no words."""
    said = words(manifest, but)
    return said.mask(said == "", manifest["network.kind"])


def words(manifest: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """What tells each trial from the others, besides its size, repeat and the settings of `but`.

    `damped 0.99, static`, `base, dense`, `mixup=0.3`; empty where nothing differs. Rows as in
    `manifest`, which has a column for each setting, as table.manifest gives it.
    """
    ignored = {*SIZE, *REPEAT, *HEARD, *PRUNING, *but}
    settings = [name for name in config.leaves() if name not in ignored]
    parts = [manifest[name].map(_phrase(name)) for name in settings if _varies(manifest[name])]
    if any(_varies(manifest[name]) for name in HEARD if name not in but):
        parts.append(_hearings(manifest))
    if any(_varies(manifest[name]) for name in PRUNING if name not in but):
        parts.append(prunings(manifest))
    return _joined(parts, manifest.index)


def prunings(manifest: pd.DataFrame) -> "pd.Series[Any]":
    """How each trial is pruned: `dense`, `static`, `iterative`.

    What else differs among the trials of one kind follows: `iterative, score=kernel`.
    """
    kinds = manifest["pruning.kind"]
    parts = [kinds.map(KINDS)]
    for name in PRUNING:
        # a dense trial's target_width is 0: that pruned ones have another tells nothing new
        varied = manifest.groupby(kinds)[name].transform("nunique") > 1
        if varied.any():
            parts.append(manifest[name].map(_phrase(name)).where(varied, ""))
    return _joined(parts, manifest.index)


def _hearings(manifest: pd.DataFrame) -> "pd.Series[str]":
    """`trained as recorded` or `trained through 6 microphones`; where other sets are as many, the
    microphones' names; the share of the clips where it differs among those heard through some.
    """
    names, share = (manifest[name] for name in HEARD)
    counts = names.map(lambda listed: len(listed.split(",")) if listed else 0)
    ambiguous = names.groupby(counts).transform("nunique") > 1
    sets = names.where(ambiguous, counts.map("{} microphones".format))
    some = counts > 0
    heard = ("trained through " + sets).where(some, "trained as recorded")
    varied = some & (share[some].nunique() > 1)
    shares = share.map(_phrase("microphones.share")).where(varied, "")
    return _joined([heard, shares], manifest.index)


def _varies(values: "pd.Series[Any]") -> bool:
    return bool(values.nunique(dropna=False) > 1)


def _joined(parts: "list[pd.Series[Any]]", index: "pd.Index[Any]") -> "pd.Series[Any]":
    """The parts of each row that are not empty, with commas between."""
    rows = zip(*parts, strict=True) if parts else ("" for _ in index)
    return pd.Series([", ".join(filter(None, row)) for row in rows], index=index, dtype="str")


def _phrase(name: str) -> Callable[[Any], str]:
    """How to say a value of this setting."""
    said: dict[str, Callable[[Any], str]] = {
        "network.damping": lambda value: f"damped {_text(value)}" if value else "base",
        "split.labels": LABELS.__getitem__,
        "pruning.target": lambda value: f"to {value} weights" if value else "",
        "pruning.target_width": lambda value: f"to width {value}" if value else "",
    }
    return said.get(name, lambda value: f"{_short(name)}={_text(value)}")


def _short(name: str) -> str:
    """The fewest last words of a dotted name that no other setting ends in."""
    parts = name.split(".")
    endings = [".".join(parts[-k:]) for k in range(1, len(parts) + 1)]
    known = [f".{other}" for other in config.leaves()]
    return next(e for e in endings if sum(other.endswith(f".{e}") for other in known) == 1)


def _text(value: Any) -> str:
    """A setting's value as a person would type it."""
    if value == "":
        return "(empty)"
    if pd.isna(value):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
