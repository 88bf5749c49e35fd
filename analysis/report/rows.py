"""Rows: every planned trial as the page's table and its trial view need it, said once.

Conventions: what all trials agree in stands once, what a configuration's trials agree in once per
configuration; shares are whole numbers of 1/1000, as in analysis.report.details.
Contents: about_trials, by_device.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.again import command
from analysis.conditions import REPEAT
from analysis.data import Data
from analysis.failures.answers import clips_by_device
from analysis.report import facts
from analysis.report.configurations import Configurations
from analysis.report.details import SHARE
from scaling import settings
from scaling.settings import label


def about_trials(data: Data, known: Configurations, progress: pd.DataFrame) -> dict[str, Any]:
    """What the page says of trials.

    - `settings`: those that all trials agree in, by name.
    - `settings_of`, `words_of`: by configuration, its settings beyond these, and the words of
      analysis.again's command that its trials share.
    - `repeats`: the names of the settings that tell the trials of one configuration apart.
    - `trials`: [id, label, status, configuration, shares by split, values of `repeats`, words
      beyond these, epochs trained, seconds, error]. A word `name=value` of a repeat is its place.
    """
    planned = data.manifest
    records: dict[str, Any] = planned.set_index("trial", drop=False).to_dict("index")  # type: ignore[assignment]
    names = label.labels(records)
    texts = {name: _texts(planned[name]) for name in settings.leaves()}
    shared = {name: column[0] for name, column in texts.items() if len({*column}) == 1}
    states = progress.set_index("trial")
    errors = facts.errors(progress)
    words = {trial: shlex.split(command(row))[2:] for trial, row in records.items()}
    alike = [_alike([words[trial] for trial in row["trials"]]) for row in known.rows]
    shares = _shares(data, known.splits)
    settings_of: list[dict[str, str]] = [{} for _ in known.rows]
    repeats = [name for name in texts if name in REPEAT and name not in shared]
    rows = []
    for place, trial in enumerate(planned["trial"]):
        configuration = known.of[trial]
        own = {name: texts[name][place] for name in texts if name not in shared}
        settings_of[configuration] = {n: v for n, v in own.items() if n not in REPEAT}
        common = {*alike[configuration]}
        places = {f"{name}={own[name]}": at for at, name in enumerate(repeats)}
        state = states.loc[trial]
        rows.append(
            [
                trial,
                names[trial],
                str(state["status"]),
                configuration,
                [shares.get((trial, split)) for split in known.splits],
                [own[name] for name in repeats],
                [places.get(word, word) for word in words[trial] if word not in common],
                int(state["epochs"]),
                round(float(state["seconds"]), 1),
                errors.get(trial),
            ]
        )
    return {
        "settings": shared,
        "settings_of": settings_of,
        "words_of": alike,
        "repeats": repeats,
        "trials": rows,
    }


def by_device(data: Data) -> dict[str, Any]:
    """By trial, of each split with more than one device: [split, names, shares, clips scored], of
    which clips are left out where no predictions tell them.
    """
    scores = data.scores()
    counted = clips_by_device(data).set_index(["trial", "split", "device"])["clips"].to_dict()
    found: dict[str, Any] = {}
    if scores.empty:
        return found
    here = scores[(scores["device"] == "all") & ~scores["split"].str.startswith("train")]
    for row in here[["trial", "split", "by_device"]].to_dict("records"):
        if isinstance(row["by_device"], Mapping):
            names = [*row["by_device"]]
            values = [round(SHARE * row["by_device"][name]) for name in names]
            keys = [(row["trial"], row["split"], name) for name in names]
            clips = [[int(counted[key]) for key in keys]] if counted.keys() >= {*keys} else []
            found.setdefault(row["trial"], []).append([row["split"], names, values, *clips])
    return found


def _shares(data: Data, splits: Sequence[str]) -> dict[tuple[str, str], int]:
    """The accuracy of each trial on each split."""
    scores = data.scores()
    if scores.empty:
        return {}
    here = scores[(scores["device"] == "all") & scores["split"].isin(splits)]
    rows = here[["trial", "split", "value"]].itertuples(index=False)
    return {(trial, split): round(SHARE * value) for trial, split, value in rows}


def _texts(values: "pd.Series[Any]") -> list[str]:
    """A setting's values as a reader types them."""
    return ["null" if pd.isna(v) else str(v).lower() if isinstance(v, bool) else str(v)
            for v in values.tolist()]  # fmt: skip


def _alike(commands: Sequence[list[str]]) -> list[str]:
    """The words that all of these commands have, in order; none where one has no words, or they
    start from several recipes.
    """
    if len({tuple(command[:2]) for command in commands}) > 1:
        return []
    common = {*commands[0]}.intersection(*commands[1:])
    return [word for word in commands[0] if word in common]
