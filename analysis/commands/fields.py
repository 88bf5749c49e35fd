"""The drawing half of `overhear erf`: which trials' effective receptive fields, and their figures.

Heavy libraries are imported inside the functions, so that help is instant. Contents: trials_of,
figures_folder, draw_fields.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from analysis import console, files
from analysis.commands.options import Format
from scaling.results.outcome import Status
from scaling.text import file_name

if TYPE_CHECKING:
    pass


def trials_of(results: str, studies: list[str] | None, names: list[str] | None) -> list[str]:
    """The trials that these ids, or the beginnings of them, name; else all complete ones of these
    studies (of all studies for none).
    """
    from analysis import pick, reading
    from scaling.results.records import Results

    where = Results(results)
    if names:
        return pick.several(where, names)
    progress = reading.progress(reading.load(where, studies or ()))
    complete = progress.loc[progress["status"] == Status.COMPLETE, "trial"].tolist()
    if not complete:
        raise ValueError(f"{where.where} has no complete trial: run its sweep (again)")
    return complete


def figures_folder(results: str, out: str | None) -> Path:
    """Where figures of these results go. Raises ValueError where that is not on this machine."""
    from scaling.results.records import Results

    return files.folder(Results(results), out)


def draw_fields(
    results: str, trials: list[str], split: str, kind: str, out: str | None, kind_of_file: Format
) -> None:
    """Draw the ERF maps of these trials, on both scales, and print their numbers."""
    from analysis import reading
    from analysis.data import Data
    from analysis.figures.effective_field import EffectiveField
    from analysis.figures.field_drawing import SCALES
    from analysis.figures.layout import PLAIN
    from scaling.results.records import Results

    where = Results(results)
    folder = files.folder(where, out)
    planned = reading.load(where)
    chosen = planned.manifest["trial"].isin(trials)
    data = Data(planned._replace(manifest=planned.manifest[chosen]))
    figures: dict[str, EffectiveField]
    figures = {scale: EffectiveField(scale, kind, split) for scale in SCALES}
    scaled = EffectiveField("log", kind, split, scaled=True)
    if scaled.obstacle(data) is None:
        figures["scaled"] = scaled
    points = figures["log"].points(data)
    target, _, label = kind.partition(" ")
    stem = "-".join(["effective_field", target, *([file_name(label)] if label else []), split])
    with files.writing(folder):
        files.write_csv(points, folder / f"{stem}.csv")
        for scale, figure in figures.items():
            file = folder / f"{stem}-{scale}.{kind_of_file}"
            files.write_drawing(figure.draw(points), file, PLAIN.dpi)
            print(f"{scale}: {file}")
    listed = figures["log"].listing("effective receptive field", points)
    console.show(console.listed(listed, file=f"{stem}.csv"))
