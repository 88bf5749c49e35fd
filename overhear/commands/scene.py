"""`overhear scene`: one scene through two devices, as a network sees it.

Heavy imports happen inside the functions, so that --help is instant. Contents: scene.
"""

from pathlib import Path
from typing import Annotated

import typer

from overhear.commands.drawing import DrawingOptions
from scaling.commands.groups import grouped
from scaling.commands.options import ClipOptions, RecipeOptions


@grouped
def scene(
    chosen: RecipeOptions,
    *,
    clip: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the clip to draw (default: the first).")
    ] = "",
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A recording device, or a microphone of the recipe (recorded: none); name two "
            "(default: the first two).",
        ),
    ] = None,
    where: ClipOptions,
    drawing: DrawingOptions,
) -> None:
    """Draw the features of one clip through two devices, and their difference."""
    trial = chosen.trial()  # what may be mistyped, before libraries that take seconds to import
    where.check_dataset(trial.sound.dataset)
    if device and len(device) != 2:
        raise ValueError(f"--device {' '.join(device)}: name exactly two devices, or none")
    import numpy as np

    from analysis import files
    from analysis.figures.bands import Bands
    from analysis.figures.layout import PLAIN
    from analysis.figures.scene import bands, draw
    from scaling import machine
    from scaling.text import file_name
    from scaling.training.scene import through

    here = machine.here("cpu", "float32", drawing.threads)
    store = where.store(trial)
    found = through(trial, store, here, clip, device or ())
    sound, features = trial.sound, trial.sound.features
    high = features.high or sound.rate / 2
    rows = Bands(features.kind, features.mels, features.low, high, features.bins_per_octave)
    title = f"{found.label}: {found.clips[0]}"
    place, stem = Path(drawing.out), "scene-" + file_name("-".join(found.devices))
    drawn = draw(found.features_2FN, found.devices, title, rows, features.hop / sound.rate)
    with files.writing(place):
        files.write_csv(bands(found.features_2FN, found.devices), place / f"{stem}.csv")
        files.write_drawing(drawn, place / f"{stem}.{drawing.format}", PLAIN.dpi)
    apart_FN = found.features_2FN[1] - found.features_2FN[0]
    by_band = apart_FN.mean(axis=1)
    typer.echo(f"{found.devices[0]}: {found.clips[0]}\n{found.devices[1]}: {found.clips[1]}")
    typer.echo(
        f"apart by {np.abs(apart_FN).mean():.2f} standard deviations of the training clips "
        f"(mean of sizes), by band {by_band.min():+.2f} to {by_band.max():+.2f}"
    )
    typer.echo(f"{place / stem}.{drawing.format}\n{place / stem}.csv")
