"""Each figure's and table's numbers equal those of plain pandas, on real records of ESC-10.

tests/data/width: CP-ResNet through microphones, W = 4 to 32, folds 1 to 3, up to two seeds, 30
trials of LOG.md's entry of 2026-11-28; of each class and fold four clips have predictions, and
logits are rounded to 1/32. tests/data/curves: W = 4 and 8, evaluated in each of four epochs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from recomputed import DAMPING as D
from recomputed import FIGURES, Records, claims, difference, next_size
from recomputed import WIDTH as W

from analysis.commands.analyze import Outlet
from overhear import command
from scaling.results.claims import Claim
from scaling.results.records import Results
from scaling.results.statements import state
from scaling.settings.recipes import DAMPED

SAMPLES = Path(__file__).parent / "data"
EXACT = 1e-12
# what the twin searches for in another way: laws by a grid, temperatures to 1e-4 of their logarithm
LOOSE = {"scaling_law_parameters": 1e-5, "scaling_law_macs": 1e-5, "next_size": 1e-5,
         "calibration": 1e-3, "claims": 1e-6}  # fmt: skip
DRAWN = {
    "curves": {"accuracy_vs_parameters", "learning_curves"},
    "width": {*FIGURES} - {"learning_curves"},
}
SIDES: list[tuple[str, str, dict[str, float], dict[str, float]]] = [
    ("width helps on seen microphones", "seen", {W: 32, D: 0.0}, {W: 4, D: 0.0}),
    ("width narrows the gap", "unseen - seen", {W: 16, D: 0.0}, {W: 4, D: 0.0}),
    ("damping helps on unseen ones", "unseen", {D: DAMPED, W: 4}, {D: 0.0, W: 4}),
]


def unpack(name: str, results: Results, widths: Sequence[int]) -> None:
    """Write the records of these widths as their sweep did, a file for each trial."""
    files = {file.stem: pq.read_table(file) for file in (SAMPLES / name).iterdir()}
    planned = files.pop("manifest")
    planned = planned.filter(pc.is_in(planned[W], pa.array(widths)))
    results.write("manifest", "-".join(map(str, widths)), planned)
    for trial in planned["trial"].to_pylist():
        for kind, rows in files.items():
            results.write(kind, trial, rows.filter(pc.equal(rows["trial"], trial)))


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both samples, analyzed; of the widths the largest came after a law of the others was kept."""
    made = {name: tmp_path_factory.mktemp(name) for name in DRAWN}
    wide, curves = (Results(str(made[name])) for name in ("width", "curves"))
    for results in (wide, curves):
        results.prepare()
    unpack("curves", curves, (4, 8))
    unpack("width", wide, (4, 8, 12, 16))
    state("real", [Claim(text, *sides, on=on) for text, on, *sides in SIDES], 0, wide)
    with pytest.MonkeyPatch.context() as patch:
        # not drawn: what is compared are the CSV files
        patch.setattr(Outlet, "draw", Outlet.write)
        overhear(patch, "analyze", wide.base, "--figure", "next_size")
        unpack("width", wide, (32,))
        overhear(patch, "analyze", wide.base, "--differences")
        overhear(patch, "claims", wide.base)
        overhear(patch, "choose", wide.base, "--out", f"{wide.base}/figures")
        overhear(patch, "analyze", curves.base, *(f"--figure={each}" for each in DRAWN["curves"]))
    return made


def overhear(patch: pytest.MonkeyPatch, *words: str) -> None:
    """Run a command."""
    patch.setattr(sys, "argv", ["overhear", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def records(studies: dict[str, Path]) -> dict[str, Records]:
    return {name: Records.of(folder) for name, folder in studies.items()}


@pytest.mark.parametrize(
    ("study", "figure"), [(study, name) for study, names in DRAWN.items() for name in sorted(names)]
)
def test_each_number_is_as_plain_pandas_has_it(
    studies: dict[str, Path], records: dict[str, Records], study: str, figure: str
):
    make, keys = FIGURES[figure]
    rows = make(records[study])
    if figure == "next_size":
        rows = next_size(records[study], known=50_000)
    found = pd.read_csv(studies[study] / "figures" / f"{figure}.csv")
    apart, column, count = difference(found, rows, keys)
    assert count > 10
    assert apart <= LOOSE.get(figure, EXACT), column


def test_each_claim_is_as_plain_pandas_has_it(
    studies: dict[str, Path], records: dict[str, Records]
):
    found = pd.read_csv(studies["width"] / "figures" / "claims.csv")
    apart, column, _ = difference(found, claims(records["width"], SIDES), ("claim",))
    assert apart <= LOOSE["claims"], column
