"""Files that analysis writes: the folder of the figures, drawings and tables.

Conventions: heavy imports happen inside the functions, so that --help is instant.
Contents: folder, writing, write_drawing, write_csv, without_arrays.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from scaling.results.records import Results

REMEDIES = {
    errno.ENOSPC: "free some space, or ",
    errno.EDQUOT: "free some space, or ",
    errno.EACCES: "mend its rights, or ",
    errno.EPERM: "mend its rights, or ",
}


def folder(results: "Results | Sequence[Results]", out: str | None) -> Path:
    """Where figures go: `out`, else RESULTS/figures of a single results folder that is local.

    Raises ValueError for an `out` that is empty, where there are several results folders and no
    `out`, and where the folder is not on this machine.
    """
    from scaling.results.records import Results
    from scaling.storage import shown

    if out is not None and not out.strip():
        raise ValueError(f"--out {out!r} is empty: name a local folder for the figures")
    if out is not None and ("://" not in out or out.startswith("file://")):
        return Path(Results(out).base)
    first, *others = [results] if isinstance(results, Results) else results
    if out is None and others:
        raise ValueError(
            f"{1 + len(others)} results folders are joined: name the folder for their figures with "
            "--out"
        )
    if out is None and first.local:
        return Path(first.path("figures"))
    raise ValueError(
        f"{shown(out) if out else first.where} is not on this machine: name a local folder for "
        "figures with --out"
    )


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Make the folder; what stops a file from being written to it becomes one line."""
    try:
        where.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "")
        raise ValueError(
            f"figures folder {where} cannot be written ({error.strerror or error}): {remedy}"
            "name another with --out"
        ) from None


def write_drawing(figure: "Figure", file: Path, dpi: int) -> None:
    """Write a figure, in fonts that have its letters; its format is the ending of the name."""
    import matplotlib

    from analysis.figures import fonts

    fonts.fit(figure)
    # text stays text in SVG and PDF, to be searched and edited
    kept = matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42})
    with kept, fonts.without_glyph_warnings():
        if file.suffix == ".png":
            _lay_out(figure, dpi)
        figure.savefig(file, dpi=dpi)


def _lay_out(figure: "Figure", dpi: int) -> None:
    """Place what is on the page for good: savefig draws all of it once before, only to place it."""
    if (engine := figure.get_layout_engine()) is not None:
        figure.set_dpi(dpi)  # letters are measured in dots
        engine.execute(figure)
        figure.set_layout_engine("none")


def write_csv(frame: "pd.DataFrame", file: Path) -> None:
    """Write a table; texts are quoted where they need it."""
    without_arrays(frame).to_csv(file, index=False)


def without_arrays(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table without the columns that hold arrays: maps are in the records already."""
    arrays = [name for name in frame if len(frame) and hasattr(frame[name].iloc[0], "shape")
              and frame[name].iloc[0].shape]  # fmt: skip
    return frame.drop(columns=arrays)
