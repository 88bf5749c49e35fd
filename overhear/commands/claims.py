"""`overhear claims`: each claim of a study, judged by its results.

Heavy imports happen inside the function, so that --help is instant. Contents: claims.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from analysis.commands.options import Joined
from analysis.unit_names import UNITS
from scaling.typed import bounded, ending, folder, word

if TYPE_CHECKING:
    from scaling.results.claims import Claim


def claims(
    results: Joined,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Judge the claims of this study, shipped or a Python file (default: what was "
            "stated when the results were made).",
        ),
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(
            parser=bounded(above=0, most=0.5),
            metavar="P",
            help="Family-wise error rate over a study's claims.",
        ),
    ] = 0.05,
    unit: Annotated[
        str,
        typer.Option(
            parser=word(*UNITS),
            metavar="|".join(UNITS),
            help="Unit of the intervals of claims that name none (default: the widest claim that "
            "the design allows).",
        ),
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Print all claims, not only the first 20.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the claims as JSON lines.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            parser=folder,
            metavar="FOLDER",
            help="Local folder of claims.csv (default: RESULTS/figures).",
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            parser=ending(".csv"),
            metavar="FILE.csv",
            help="Write the evidence to a small file, which claims reads instead of RESULTS.",
        ),
    ] = None,
) -> None:
    """Judge each claim of a study by its results: supported, contradicted or undecided."""
    from analysis import ledger
    from sweeps.study import find, names

    def states(name: str) -> "tuple[str, tuple[Claim, ...]]":
        found = find(name)
        return found.name, found.claims

    ledger.show(results, study, states, names(), alpha, unit, every, json, out, keep)
