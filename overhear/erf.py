"""`overhear erf`: the effective receptive fields of a results folder's trials, or of any module.

Heavy imports happen inside the functions, so that --help is instant. Contents: erf.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import analysis.cli
import scaling.cli
from scaling.typed import filled, whole

if TYPE_CHECKING:
    from scaling.receptive_field.modules import NoiseMap

MODULE = "Of a module"  # the panel of its options in the help


def erf(
    results: Annotated[
        str | None,
        typer.Argument(help="Results folder or URI of a sweep (or use --module)."),
    ] = None,
    trial: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Draw this trial; repeatable (default: all with weights)."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only the trials of this study; repeatable."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split whose clips are used (default: unseen, else test).")
    ] = "",
    kind: Annotated[
        str, typer.Option(help="Output to differentiate: feature, logits or class.")
    ] = "feature",
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="With --kind class: the class.")
    ] = None,
    root: scaling.cli.Root = None,
    column: scaling.cli.Column = None,
    group_from: scaling.cli.GroupFrom = None,
    out: Annotated[
        str | None,
        typer.Option(help="Local folder (default: RESULTS/figures; of a module, figures)."),
    ] = None,
    format: Annotated[  # noqa: A002
        analysis.cli.Format, typer.Option(help="File format of the figures.")
    ] = analysis.cli.Format.PNG,
    device: scaling.cli.Device = "auto",
    threads: scaling.cli.Threads = 0,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CLASS",
            help="Your torch module, from features (clips, 1, rows, columns) to a map, "
            "logits, or both (logits, map), in place of RESULTS.",
            rich_help_panel=MODULE,
        ),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Argument of its constructor; repeatable.",
            rich_help_panel=MODULE,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FxN",
            help="Size of its inputs, rows x columns, such as 128x431; inputs are normal noise.",
            rich_help_panel=MODULE,
        ),
    ] = None,
    layer: Annotated[
        str,
        typer.Option(
            help="Submodule whose output is differentiated (default: the module's output).",
            rich_help_panel=MODULE,
        ),
    ] = "",
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Weights as .safetensors (default: initial weights, seed 0).",
            rich_help_panel=MODULE,
        ),
    ] = None,
    clips: Annotated[
        int,
        typer.Option(
            metavar="N", parser=whole(1), help="Number of inputs.", rich_help_panel=MODULE
        ),
    ] = 32,
) -> None:
    """Compute and draw effective receptive fields (ERF) of trained networks or of any module."""
    filled(out=out, module=module, weights=weights)
    beside = {"--arg": arg, "--input": size, "--layer": layer, "--weights": weights}
    if module is not None:
        for name, value in {"RESULTS": results, "--trial": trial, "--study": study}.items():
            if value:
                raise ValueError(f"--module {module} with {name}: name one of the two")
        if size is None:
            raise ValueError(f"--module {module} needs --input FxN, rows x columns, as 128x431")
        _of_module(module, arg or [], _size(size), clips, layer, weights, out, format)
        return
    if results is None:
        raise ValueError("name a results folder, or --module MODULE:CLASS with --input FxN")
    for name, value in beside.items():
        if value:
            raise ValueError(f"{name} is of a --module: leave it out, or name one")
    if (kind == "class") != (label is not None):
        raise ValueError(
            f"--kind {kind} with --label {label}: --kind class needs a label, and no other kind "
            "takes one"
        )
    analysis.cli.figures_folder(results, out)  # before what takes long
    trials = analysis.cli.trials_of(results, study, trial)
    where = (device, "float32", threads)
    wanted, read = (split, kind, label), (column, group_from)
    split = scaling.cli.compute_maps(results, trials, wanted, root, where, read)
    name = kind if label is None else f"class {label}"
    analysis.cli.draw_fields(results, trials, split, name, out, format)


def _size(text: str) -> tuple[int, int]:
    """`128x431` as rows and columns."""
    found = re.fullmatch(r"([1-9]\d{0,5})[x×]([1-9]\d{0,5})", text)
    if not found:
        raise ValueError(f"--input {text}: rows x columns, each 1 to 999,999, as 128x431")
    return int(found[1]), int(found[2])


def _of_module(
    kind: str,
    words: list[str],
    size: tuple[int, int],
    clips: int,
    layer: str,
    weights: str | None,
    out: str | None,
    format_: analysis.cli.Format,
) -> None:
    """Draw a module's field, keep its numbers as CSV, and print them."""
    import pandas as pd

    from analysis import files
    from analysis.figures.layout import PLAIN
    from analysis.figures.module_field import draw
    from analysis.squares import squares
    from scaling.receptive_field.modules import of_module
    from scaling.text import file_name

    found = of_module(kind, words, size, clips, layer=layer, weights=weights)
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
