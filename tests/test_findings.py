"""Findings: what claims rest on, kept small, judged again with the same outcome; and those kept."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_recomputed import SIDES, unpack
from typer.testing import CliRunner

from analysis.claims import judge
from analysis.data import opened
from analysis.findings import MOST, Kept, keep
from analysis.ledger import told
from overhear.command import app
from scaling.results.claims import Claim
from scaling.results.records import Results
from sweeps.study import find

ROOT = Path(__file__).parent.parent
FINDINGS = sorted((ROOT / "findings").glob("*.csv"))
CLAIMS = [Claim(text, better, worse, on=on) for text, on, better, worse in SIDES]


@pytest.fixture(scope="module")
def width(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real records."""
    folder = tmp_path_factory.mktemp("width")
    unpack("width", Results(str(folder)), (4, 8, 16, 32))
    return folder


@pytest.fixture(scope="module")
def kept(width: Path) -> Path:
    file = width / "findings" / "width.csv"
    keep(opened([str(width)]), "width", CLAIMS, file)
    return file


def test_a_finding_is_judged_as_its_results_were(width: Path, kept: Path):
    found = Kept(kept)
    assert found.claims == CLAIMS
    now = judge(found, {found.study: found.claims}).drop(columns="study")
    then = judge(opened([str(width)]), {"width": CLAIMS}).drop(columns="study")
    pd.testing.assert_frame_equal(now, then, rtol=1e-4, atol=1e-5)


def test_it_is_small_and_says_what_is_the_same_in_all(kept: Path):
    rows = pd.read_csv(kept)
    assert list(rows)[:3] == ["trial", "seed", "split.fold"]
    assert {"network.width", "network.damping", "split", "device", "accuracy"} <= set(rows)
    assert "training.epochs" not in rows  # the same in all
    note = json.loads(kept.with_suffix(".json").read_text())
    assert note["settings"]["training.epochs"] == 12
    assert note["trials"] == rows["trial"].nunique()
    assert all(note[name] for name in ("data_digest", "versions", "precision"))


def test_trials_that_no_claim_reads_are_left_out(width: Path, tmp_path: Path):
    narrow = Claim("width helps", {"network.width": 8}, {"network.width": 4}, on="unseen")
    keep(opened([str(width)]), "width", [narrow], tmp_path / "narrow.csv")
    assert set(Kept(tmp_path / "narrow.csv").manifest["network.width"]) == {4, 8}


def test_a_finding_holds_the_trials_of_its_study():
    """Those that its file makes today: a record of another trial shows nothing of the study."""
    for file in FINDINGS:
        planned = {trial.id for trial in find(str(file.with_suffix(".py"))).trials()}
        assert {*Kept(file).manifest["trial"]} <= planned, file.name


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("trial,", "trail,", "no such column: trail"),
        ("network.width", "network.widht", "no such column: network.widht"),
        (",unseen,", ",unseen,,", "rows of unequal length"),
        (r",\d+\.0,", ",eighty,", "Expecting value"),
        (r",\d+\.0,", ",NaN,", "out of bounds"),
        (r",\d+\.0,", ',"""80""",', "is no double"),
        (r",\d+\.0,", "," + "[" * 99_999 + ",", "RecursionError"),
        (r",\d+\.0,", "," + "8" * 200_000 + ",", "field larger than"),
        (r",\d+\.0,0\.\d+,", ",80.0,5.0,", "not between 0 and 1"),
        (r"\n(.*)\n", r"\n\1\n\1\n", "two rows of one trial"),
    ],
)
def test_what_is_no_finding_is_one_line(
    kept: Path, tmp_path: Path, old: str, new: str, reason: str
):
    file = tmp_path / "f.csv"
    file.with_suffix(".json").write_text(kept.with_suffix(".json").read_text())
    changed, count = re.subn(old, new, kept.read_text(), count=1)
    assert count == 1
    file.write_text(changed)
    with pytest.raises(ValueError, match=reason) as raised:
        Kept(file)
    assert "\n" not in str(raised.value)
    assert "--keep" in str(raised.value)


def test_untrusted_bytes_are_bounded(kept: Path, tmp_path: Path):
    file = tmp_path / "f.csv"
    file.with_suffix(".json").write_text(kept.with_suffix(".json").read_text())
    file.write_bytes(b"x" * (MOST + 1))
    with pytest.raises(ValueError, match="more than"):
        Kept(file)
    file.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match="No such file"):
        Kept(file)


def test_a_finding_without_claims_is_refused(kept: Path, tmp_path: Path):
    file = tmp_path / "f.csv"
    file.write_text(kept.read_text())
    note = json.loads(kept.with_suffix(".json").read_text())
    file.with_suffix(".json").write_text(json.dumps(note | {"claims": []}))
    with pytest.raises(ValueError, match="none of its claims"):
        Kept(file)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"last": -1}, "last=-1: a whole number, at least 1"),
        ({"stated": "2026-11-28T09:00:00"}, "names no time zone, such as"),
        ({"stated": 20261128}, "stated=20261128 must be a date"),
        ({"ended": -3}, "ended=-3: a whole number, at least 0"),
    ],
)
def test_what_no_one_can_have_kept_is_one_line(
    kept: Path, tmp_path: Path, changed: dict[str, object], reason: str
):
    file = tmp_path / "f.csv"
    file.write_text(kept.read_text())
    note = json.loads(kept.with_suffix(".json").read_text())
    note["claims"][0] |= {"stated": "2026-11-28T09:00:00+00:00", "ended": 0} | changed
    file.with_suffix(".json").write_text(json.dumps(note | changed))
    with pytest.raises(ValueError, match=reason) as raised:
        Kept(file)
    assert "\n" not in str(raised.value)


def test_the_command_judges_a_finding(kept: Path):
    told = CliRunner().invoke(app, ["claims", str(kept), "--json"])
    assert told.exit_code == 0, told.output
    rows = [json.loads(line) for line in told.output.splitlines() if line.startswith("{")]
    assert [row["claim"] for row in rows] == [claim.text for claim in CLAIMS]
    mixed = CliRunner().invoke(app, ["claims", str(kept), "s3://b/results"])
    assert mixed.exit_code != 0


def test_a_finding_that_is_there_is_replaced(width: Path, kept: Path, tmp_path: Path):
    study, file = tmp_path / "s.py", tmp_path / "f.csv"
    study.write_text(
        "from scaling.results.claims import Claim\n"
        "from scaling.settings.recipes import ESC10\n"
        f"QUESTION, SOURCE, CLAIMS = 'Q?', 'S', ({CLAIMS[0]!r},)\n"
        "def trials():\n    yield ESC10\n"
    )
    words = ["claims", str(width), "--study", str(study), "--out", str(tmp_path), "--keep"]
    file.write_text("of before")
    told = CliRunner().invoke(app, [*words, str(file)])
    assert told.exit_code == 0, told.output
    assert file.read_text().startswith(kept.read_text().split(",")[0])
    (tmp_path / "d.csv").mkdir()
    assert CliRunner().invoke(app, [*words, str(tmp_path / "d.csv")]).exit_code == 2


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: file.stem)
def test_the_logbook_says_what_its_findings_say(file: Path):
    """After a line `<!-- finding NAME -->` LOG.md has the table that `docs/reference.py` makes."""
    sys.path.insert(0, str(ROOT / "docs"))
    import reference

    log = (ROOT / "LOG.md").read_text()
    mark = f"<!-- finding {file.stem} -->\n"
    assert mark in log, f"LOG.md does not tell of {file.name}"
    assert log.partition(mark)[2].startswith(reference.finding(file.stem))


def test_every_entry_of_the_logbook_opens_with_its_verdict():
    """But for the headings that only gather entries."""
    lines = [line for line in (ROOT / "LOG.md").read_text().splitlines() if line]
    headings = [place for place, line in enumerate(lines) if re.match("##+ ", line)]
    for place, end in zip(headings, [*headings[1:], len(lines)], strict=True):
        gathers = lines[place].startswith("## ") and "".join(lines[end : end + 1])[:4] == "### "
        assert gathers or lines[place + 1].startswith("Verdict: "), lines[place]


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: file.stem)
def test_its_table_says_what_would_decide(file: Path):
    """Each undecided claim has the smallest addition that would decide it, a decided one none."""
    found = Kept(file)
    judged = judge(found, {found.study: found.claims})
    head, rows = told(judged)
    at = head.index("more needed")
    for cells, row in zip(rows, judged.to_dict("records"), strict=True):
        if row["verdict"] != "undecided":
            assert cells[at] == "-"
        elif row["needed_unit"]:
            assert cells[at].startswith(f"{row['needed']:,.0f} {row['needed_unit'][:4]}")
        else:
            assert cells[at] == "no number"
