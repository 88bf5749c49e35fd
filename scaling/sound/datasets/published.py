"""What readers of published datasets share: the sound files of a tree, and what it lacks of them.

Contents: `wavs`, `named` for datasets whose clips are told by their names alone, and `compare`,
which makes a reader's Report.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from scaling.sound.clips import Report
from scaling.sound.datasets.layout import Layout, locate
from scaling.sound.datasets.tree import walk

NAMED = 20  # clips missing, and clips too many, that a report names before it counts the rest


def wavs(files: Iterable[str]) -> list[str]:
    """Those files that end in .wav, in capitals or not."""
    return [file for file in files if file.lower().endswith(".wav")]


def none_found(root: Path, pattern: str, address: str) -> ValueError:
    """What to say where a tree holds no clips of a dataset."""
    return ValueError(
        f"no clips found: {root} holds no {pattern}, nor does a folder below it: name the folder "
        f"that does with --root (available from {address})"
    )


def lower_ending(tail: str) -> str:
    """The same path with its ending in small letters, as published."""
    path = PurePosixPath(tail)
    return str(path.with_suffix(path.suffix.lower()))


def named(
    root: Path, published: str, keep: int, known: Callable[[str], object], address: str
) -> tuple[Layout, list[str]]:
    """The clips of a tree whose names say all: their layout, and the published names of all of
    them, sorted.

    Published are `<published>/<tail>.wav`, with `keep` parts in a tail; `known` says whether such a
    path is one of the dataset's. Other sound files beside those that are known are listed, too.
    Raises ValueError where there is none.
    """

    def canonical(tail: str) -> str | None:
        name = lower_ending(tail)
        return name if known(f"{published}/{name}") else None

    files = wavs(walk(root).files)
    layout = locate(root, files, published, keep, canonical)
    home = layout.home.split("/") if layout.home else []
    strangers = [
        f"{published}/{'/'.join(parts[len(home) :])}"
        for parts in (file.split("/") for file in files)
        if len(parts) == len(home) + keep
        and parts[: len(home)] == home
        and canonical("/".join(parts[-keep:])) is None
    ]
    names = sorted({*layout.places, *strangers})
    if not names:
        raise none_found(root, f"{published}{'/*' * keep}.wav", address)
    return layout, names


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
    lines += listed("missing", absent) + listed("not published", more) + list(notes)
    wrong = [f"{len(absent)} clips are missing"] if absent else []
    wrong += [f"{len(more)} clips were not published"] if more else []
    if other := [name for name, (found, wanted) in counts.items() if found != wanted]:
        wrong.append(f"counts of {', '.join(other)} are not those published")
    problem = f"{root} is not as published: {'; '.join(wrong)}: {remedy}" if wrong else ""
    return Report(lines, problem)


def listed(what: str, clips: list[str]) -> list[str]:
    """A line for each of the first clips, and one that counts the rest."""
    rest = [f"{what}: {len(clips) - NAMED} more"] if len(clips) > NAMED else []
    return [f"{what}: {clip}" for clip in clips[:NAMED]] + rest
