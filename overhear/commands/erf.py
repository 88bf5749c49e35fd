"""`overhear erf`: the effective receptive fields of a results folder's trials, or of any module.

Heavy imports happen inside the functions, so that --help is instant. Contents: erf.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.fields import draw_fields, figures_folder, trials_of
from analysis.commands.options import Format
from scaling.commands.groups import grouped
from scaling.commands.maps import compute_maps
from scaling.commands.options import ClipOptions, Device, Threads, check_driver
from scaling.typed import folder, rectangle, whole, word
from scaling.typed import results as results_folder

if TYPE_CHECKING:
    from scaling.receptive_field.modules import NoiseMap
    from scaling.receptive_field.runs import Wanted

KINDS = ("feature", "logits", "class")
INPUTS, MOST_INPUTS = 32, 100_000  # of noise, whose mean changes no more
MODULE = "Of a module"  # the panel of its options in the help


@dataclass(frozen=True)
class TargetOptions:
    """What is differentiated, on which clips."""

    split: Annotated[
        str,
        typer.Option(
            metavar="SPLIT", help="Split whose clips are used (default: unseen, else test)."
        ),
    ] = ""
    kind: Annotated[
        str,
        typer.Option(parser=word(*KINDS), metavar="|".join(KINDS), help="Output to differentiate."),
    ] = "feature"
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="With --kind class: the class.")
    ] = None

    def check(self) -> None:
        """Raises ValueError where kind and label do not go together."""
        if self.kind == "class" and self.label is None:
            raise ValueError("--kind class needs the class: add --label CLASS")
        if self.kind != "class" and self.label is not None:
            raise ValueError(f"--label {self.label} needs --kind class (--kind is {self.kind})")

    def wanted(self) -> "Wanted":
        """The map."""
        from scaling.receptive_field.runs import Wanted

        return Wanted(self.split, self.kind, self.label)


@dataclass(frozen=True)
class ModuleOptions:
    """A person's own module in place of a results folder's networks."""

    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="Your torch module, from features (clips, 1, rows, columns) to a map, "
            "logits, or both (logits, map), in place of RESULTS.",
            rich_help_panel=MODULE,
        ),
    ] = None
    arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Argument of its constructor; repeatable.",
            rich_help_panel=MODULE,
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            "--input",
            parser=rectangle,
            metavar="FxN",
            help="Size of its inputs, rows x columns, such as 128x431; inputs are normal noise.",
            rich_help_panel=MODULE,
        ),
    ] = None
    layer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Submodule whose output is differentiated (default: the module's output).",
            rich_help_panel=MODULE,
        ),
    ] = ""
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Weights as .safetensors (default: initial weights, seed 0).",
            rich_help_panel=MODULE,
        ),
    ] = None
    clips: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole(1, MOST_INPUTS),
            help=f"Number of inputs (default: {INPUTS}).",
            rich_help_panel=MODULE,
        ),
    ] = None

    def check_unused(self) -> None:
        """Raises ValueError for an option that is of a module, where none is named."""
        stated = {"--arg": self.arg, "--input": self.size, "--layer": self.layer}
        for name, value in (stated | {"--weights": self.weights, "--clips": self.clips}).items():
            if value:
                raise ValueError(f"{name} needs --module MODULE:CLASS: add it, or leave {name} out")


@grouped
def erf(
    results: Annotated[
        str | None,
        typer.Argument(
            parser=results_folder,
            metavar="RESULTS",
            help="Results folder or URI of a sweep (or use --module).",
        ),
    ] = None,
    *,
    trial: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Draw this trial; repeatable (default: all with weights)."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only the trials of this study; repeatable."),
    ] = None,
    target: TargetOptions,
    where: ClipOptions,
    out: Annotated[
        str | None,
        typer.Option(
            parser=folder,
            metavar="FOLDER",
            help="Local folder (default: RESULTS/figures; of a module, figures).",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format, typer.Option(help="File format of the figures.")
    ] = Format.PNG,
    device: Device = "auto",
    threads: Threads = 0,
    other: ModuleOptions,
) -> None:
    """Compute and draw effective receptive fields (ERF) of trained networks or of any module."""
    if other.module is not None:
        for name, value in {"RESULTS": results, "--trial": trial, "--study": study}.items():
            if value:
                raise ValueError(f"--module {other.module} takes no {name}: leave one of them out")
        if other.size is None:
            raise ValueError(
                f"--module {other.module} needs the size of its input: add --input ROWSxCOLUMNS, "
                "such as --input 128x431"
            )
        target.check()
        rows, columns = map(int, re.split("[x×]", other.size))
        _of_module(other.module, (rows, columns), other, out, format)
        return
    if results is None:
        raise ValueError("name a results folder, or --module MODULE:CLASS with --input FxN")
    # what may be mistyped, before libraries that take seconds to import
    other.check_unused()
    target.check()
    check_driver(device)
    figures_folder(results, out)
    trials = trials_of(results, study, trial)
    where.check()
    from scaling import machine

    wanted = target.wanted()
    here = machine.here(device, "float32", threads)
    split = compute_maps(results, trials, wanted, where, here)
    draw_fields(results, trials, split, wanted.name, out, format)


def _of_module(
    kind: str,
    size: tuple[int, int],
    asked: ModuleOptions,
    out: str | None,
    format_: Format,
) -> None:
    """Draw a module's field, keep its numbers as CSV, and print them."""
    import pandas as pd

    from analysis import files
    from analysis.figures.layout import PLAIN
    from analysis.figures.module_field import draw
    from analysis.squares import squares
    from scaling.receptive_field.modules import of_module
    from scaling.text import file_name

    layer, weights, clips = asked.layer, asked.weights, asked.clips or INPUTS
    found = of_module(kind, asked.arg or [], size, clips, layer=layer, weights=weights)
    values_FN, centre = found.map.values_FN, (found.numbers.row, found.numbers.column)
    held = squares(values_FN, centre)
    folder, stem = Path(out or "figures"), f"effective_field-{file_name(kind.replace(':', '-'))}"
    told = {"module": kind, "layer": layer, "weights": weights or "", "clips": clips}
    told |= {"rows": size[0], "columns": size[1]}
    numbers = {name: n for name, n in found.numbers._asdict().items() if name != "inside"}
    file = folder / f"{stem}.{format_}"
    with files.writing(folder):
        files.write_csv(pd.DataFrame([told | numbers | held]), folder / f"{stem}.csv")
        files.write_drawing(draw(values_FN, centre, held, kind), file, PLAIN.dpi)
    typer.echo(f"{kind}: {size[0]} x {size[1]} (rows x columns), {clips} inputs of normal noise")
    typer.echo(_said(found, held))
    typer.echo(f"{file}\n{folder / stem}.csv")


def _said(found: "NoiseMap", held: dict[str, float]) -> str:
    """The numbers in lines, widths as rows x columns."""
    from analysis.squares import SHARES

    n = found.numbers
    rows, columns = (last - first + 1 for first, last in found.box)
    lines = [
        f"looks at       {rows} x {columns} at most",
        f"centre         {n.row:g}, {n.column:g}",
        f"sigma          {n.sigma_f:.1f} x {n.sigma_t:.1f}",
        f"50 % within    {n.f50} x {n.t50}",
        f"95 % within    {n.f95} x {n.t95}",
        f"Luo side       {n.luo_side:.1f}",
        f"participation  {n.participation:,.1f}",
    ]
    lines += [
        f"{share} % in a square of {held[f'side{share}']:.0f}, "
        f"{100 * held[f'area{share}']:.2g} % of the input"
        for share in SHARES
    ]
    return "\n".join(lines)
