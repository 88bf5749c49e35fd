"""`overhear coordinates`: how far a network's outputs move in its first steps, by width.

Heavy imports happen inside the functions, so that --help is instant. Contents: coordinates.
"""

from pathlib import Path
from typing import Annotated

import typer

from overhear.commands.drawing import DrawingOptions
from scaling.commands.groups import grouped
from scaling.commands.options import ClipOptions, RecipeOptions
from scaling.typed import whole
from scaling.typed import widths as sizes

WIDTHS = "8,16,32,64"
MOST_STEPS = 1000  # the check is of the first few


@grouped
def coordinates(
    chosen: RecipeOptions,
    *,
    widths: Annotated[
        str,
        typer.Option(
            parser=sizes,
            metavar="W,W,...",
            help="Widths; the smallest is the base width of mup.",
        ),
    ] = WIDTHS,
    steps: Annotated[
        int, typer.Option(parser=whole(1, MOST_STEPS), metavar="N", help="Training steps.")
    ] = 4,
    where: ClipOptions,
    drawing: DrawingOptions,
) -> None:
    """Run mup's coordinate check: do layers move equally at all widths?"""
    from scaling.settings import changed

    # what may be mistyped, before libraries that take seconds to import
    trial = chosen.trial({"network.initialization": "he"})
    base, *others = sorted({int(each) for each in widths.split(",")})
    ways = {
        "standard": {"network.parametrization": "standard", "network.base_width": 8},
        "mup": {"network.parametrization": "mup", "network.base_width": base},
    }
    each = {
        (way, width): changed(trial, {**stated, "network.width": width})
        for way, stated in ways.items()
        for width in (base, *others)
    }
    where.check_dataset(trial.sound.dataset)
    import pandas as pd

    from analysis import files
    from analysis.figures.coordinates import draw
    from analysis.figures.layout import PLAIN
    from scaling import machine
    from scaling.training.coordinates import coordinates as moves

    here = machine.here("cpu", "float32", drawing.threads)
    store = where.store(trial)
    found = pd.DataFrame(
        {**move._asdict(), "parametrization": way}
        for (way, _), made in each.items()
        for move in moves(made, store, here, steps)
    )
    place = Path(drawing.out)
    with files.writing(place):
        files.write_csv(found, place / "coordinates.csv")
        files.write_drawing(draw(found), place / f"coordinates.{drawing.format}", PLAIN.dpi)
    last = found[found["step"] == steps].pivot_table(
        index=["parametrization", "layer"], columns="width", values="size", sort=False
    )
    for way, rows in (last[max(others)] / last[base]).groupby("parametrization", sort=False):
        typer.echo(
            f"{way}: from W = {base} to {max(others)} layers move {rows.min():.2f} to "
            f"{rows.max():.2f} times as far, {rows.median():.2f} in the middle"
        )
    typer.echo(f"{place / 'coordinates'}.{drawing.format}\n{place / 'coordinates.csv'}")
