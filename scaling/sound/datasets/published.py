"""What readers of published datasets share: the sound files of a tree, and what it lacks of them.

Contents: `wavs`, and `compare`, which makes a reader's Report.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scaling.sound.clips import Report

NAMED = 20  # clips missing, and clips too many, that a report names before it counts the rest


def wavs(root: Path, pattern: str, address: str) -> list[str]:
    """The files below `root` that match, as paths below it, sorted; hidden ones are no clips.

    Raises ValueError where there is none.
    """
    below = (path.relative_to(root) for path in root.glob(pattern))
    names = sorted(
        path.as_posix() for path in below if not any(part.startswith(".") for part in path.parts)
    )
    if not names:
        raise ValueError(
            f"no clips found: {root} holds no {pattern}: name the folder that does with --root "
            f"(to be had from {address})"
        )
    return names


def compare(
    root: Path,
    counts: Mapping[str, tuple[int, int]],
    missing: Iterable[str],
    extra: Iterable[str],
    remedy: str,
    notes: Iterable[str] = (),
) -> Report:
    """A line for each count (found, published), the clips missing and too many, and the notes."""
    absent, more = sorted(missing), sorted(extra)
    lines = [f"{'':28}{'found':>8}{'published':>11}"]
    lines += [f"{name:28}{found:8,}{wanted:11,}" for name, (found, wanted) in counts.items()]
    lines += _named("missing", absent) + _named("not published", more) + list(notes)
    wrong = [f"{len(absent)} clips are missing"] if absent else []
    wrong += [f"{len(more)} clips were not published"] if more else []
    if other := [name for name, (found, wanted) in counts.items() if found != wanted]:
        wrong.append(f"counts of {', '.join(other)} are not those published")
    problem = f"{root} is not as published: {'; '.join(wrong)}: {remedy}" if wrong else ""
    return Report(lines, problem)


def _named(what: str, clips: list[str]) -> list[str]:
    rest = [f"{what}: {len(clips) - NAMED} more"] if len(clips) > NAMED else []
    return [f"{what}: {clip}" for clip in clips[:NAMED]] + rest
