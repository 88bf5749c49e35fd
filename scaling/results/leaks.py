"""Leaks: whether what a trial learns from knows clips or devices that it is tested on.

Teachers (objective.teachers) and trials that are taken over (transfer.trial) hand on what they
have learnt, also from others in turn: accuracy on unseen clips or devices would leak through them.
Contents: `recorded`, `check`, `apart`, `LEARNT`.
"""

from collections.abc import Iterable, Mapping, Sequence

from scaling.results.records import Results
from scaling.settings import Trial, flat, unflat

# settings of a split that say which of its training clips are learnt, and as what
LEARNT = ("labels", "fraction", "clips_per_class", "by_chance")


def recorded(results: Results, names: Iterable[str]) -> dict[str, Trial]:
    """The folder's trials of these ids, and those that they learnt from, by their ids."""
    wanted = [*names]
    if not wanted:
        return {}
    rows = {row["trial"]: row for row in results.read("manifest").to_pylist()}
    found: dict[str, Trial] = {}
    while wanted:
        name = wanted.pop()
        if name in rows and name not in found:
            found[name] = unflat(rows[name])
            wanted += found[name].sources
    return found


def check(
    trial: Trial, source: Trial, known: Mapping[str, Trial], stated: str, others: str
) -> None:
    """Raises ValueError where a source that a trial names as `stated`, or one that it learnt from,
    as far as it is `known`, knows what the trial is tested on; `others` says what to name instead.
    """
    line, learnt = [source], {source.id}
    for each in line:  # which grows
        whose = stated if each is source else f"{stated}, through {each.id} that it learnt from,"
        if told := _same_clips(each, trial) and apart(
            each, trial, "split.", (*LEARNT, "train_devices")
        ):
            raise ValueError(
                f"{whose} may know clips that this trial is tested on: {told}; name {others} of "
                "the same split"
            )
        if device := _unseen(each, trial):
            raise ValueError(
                f"{whose} was trained through {device}, which this trial is tested on as unseen: "
                f"name {others} that were not trained through it"
            )
        line += [known[n] for n in each.sources if n in known and n not in learnt]
        learnt.update(each.sources)


def apart(one: Trial, other: Trial, part: str, but: Sequence[str] = ()) -> str:
    """The first setting of a part that tells the trials apart, with both values; else nothing."""
    ours, theirs = flat(one), flat(other)
    for name, value in ours.items():
        if name.startswith(part) and name.removeprefix(part) not in but and value != theirs[name]:
            return f"{name}={_said(value)} there, {_said(theirs[name])} here"
    return ""


def _same_clips(one: Trial, other: Trial) -> bool:
    """Whether trials may share clips: of one dataset, and of one class at least."""
    if one.sound.recordings != other.sound.recordings:
        return False
    ours, theirs = {*one.sound.classes}, {*other.sound.classes}
    return not ours or not theirs or bool(ours & theirs)


def _unseen(one: Trial, other: Trial) -> str:
    """A device that one trial has heard and the other is tested on as unseen; else nothing."""
    if both := sorted({*one.microphones.train} & {*other.microphones.test}):
        return both[0]
    ours, theirs = {*one.split.train_devices}, {*other.split.train_devices}
    if not theirs or not _same_clips(one, other):
        return ""
    return "all devices" if not ours else min(ours - theirs, default="")


def _said(value: object) -> str:
    return "none" if value is None or value == "" else str(value)
