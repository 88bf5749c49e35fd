"""What readers of published datasets share: the sound files of a tree, and what it lacks of them.

Contents: `wavs`, `named` for datasets whose clips are told by their names alone, `beside` and
`filenames` for those with lists beside a folder of clips, and `compare`, which makes a reader's
Report.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from scaling.sound.clips import Report
from scaling.sound.datasets.layout import Layout, locate
from scaling.sound.datasets.tables import read_published
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


def canonical(fields: Callable[[str], object], name: str) -> str | None:
    """A clip's name as published; None for one that `fields` refuses with ValueError."""
    try:
        fields(lower_ending(name))
    except ValueError:
        return None
    return lower_ending(name)


def beside(
    root: Path, folder: str, meta: str, fields: Callable[[str], object], address: str
) -> tuple[Layout, Path, list[str]]:
    """A tree whose clips lie in one folder, beside which its lists stand: its layout, where the
    lists are, and the clips, sorted, as `<folder>/<name>`; `meta` is a list, for a message.

    Raises ValueError where there is no clip.
    """
    sounds = wavs(walk(root).files)
    layout = locate(root, sounds, folder.rstrip("/"), 1, partial(canonical, fields))
    home = f"{layout.home}/" if layout.home else ""
    names = (place.removeprefix(home) for place in sounds if place.startswith(home))
    clips = sorted({f"{folder}{lower_ending(name)}" for name in names if "/" not in name})
    if not clips:
        raise ValueError(
            f"no clips found: {root / folder} holds no wav files: name the folder that holds "
            f"{folder} and {meta} with --root (available from {address})"
        )
    return layout, root / home.removesuffix(folder), clips


def filenames(path: Path, dataset: str) -> list[str] | None:
    """The clips of a list with a column `filename`; None where there is no such file."""
    if not path.exists():
        return None
    rows = read_published(path, ["filename"], f"a list of {dataset}")
    names: list[str] = rows["filename"].tolist()
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
