"""The reader of TAU 2022 Mobile: its nested official lists, and every usual mistake."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from scaling.settings import Split
from scaling.sound import datasets
from scaling.sound.clip_table import UNUSED
from scaling.sound.datasets import tau2022
from scaling.sound.splits import make

SCENES = [
    *("airport", "bus", "metro", "metro_station", "park", "public_square"),
    *("shopping_mall", "street_pedestrian", "street_traffic", "tram"),
]


def write_list(path: Path, clips: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["filename\tscene_label", *(f"{c}\tx" for c in clips)]) + "\n")


def recording(scene: str, number: int, device: str) -> list[str]:
    """Two slices of a recording, which stand for its ten."""
    return [f"audio/{scene}-lyon-{number}-{40000 + number}-{k}-{device}.wav" for k in range(2)]


PARTS = {  # recordings of each scene: location and device
    5: [(1, "a")],
    10: [(1, "a"), (2, "a")],
    25: [(1, "a"), (2, "a"), (2, "s1")],
    50: [(1, "a"), (2, "a"), (2, "s1"), (3, "b")],
    100: [(1, "a"), (2, "a"), (2, "s1"), (3, "b"), (4, "a")],
}
TEST = [(5, "a"), (5, "s4")]
UNHEARD = [(6, "s4")]


def clips_of(chosen: list[tuple[int, str]]) -> list[str]:
    return [
        c for scene in SCENES for number, device in chosen for c in recording(scene, number, device)
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree in the real layout."""
    (tmp_path / "audio").mkdir()
    every = clips_of([*PARTS[100], *TEST, *UNHEARD])
    for number, clip in enumerate(every):
        samples = np.full(20, (number + 1) / 1000)
        soundfile.write(tmp_path / clip, samples, 44_100, subtype="PCM_24")
    write_list(tmp_path / "meta.csv", every)
    for part, chosen in PARTS.items():
        write_list(tmp_path / f"split_setup/split{part}.csv", clips_of(chosen))
    write_list(tmp_path / "split_setup/test.csv", clips_of(TEST))
    return tmp_path


def test_each_official_part_is_a_dataset_within_the_next(root: Path):
    """The same test clips, training clips within each other, seen and unseen by device."""
    official = Split(protocol="folds", fold=1)
    inside: set[str] = set()
    for part, chosen in PARTS.items():
        table = datasets.scan(
            "tau2022_mobile" if part == 100 else f"tau2022_mobile_{part}", root
        ).table
        sides = make(table, official)
        trained, held = (set(table["clip"].iloc[sides[side]]) for side in ("train", "test"))
        assert trained == set(clips_of(chosen))
        assert held == set(clips_of(TEST))
        assert inside < trained
        inside = trained
        assert (table["fold"] == UNUSED).sum() == (2 * 10 if part == 100 else 0)
    row = table[table["clip"] == "audio/metro_station-lyon-2-40002-1-s1.wav"].iloc[0]
    told = ("metro_station", "lyon", "s1", "lyon-2")
    assert tuple(row[["label", "city", "device", "source"]]) == told


def test_the_lists_of_the_dataset_itself_serve_for_all_of_it(root: Path):
    for file in (root / "split_setup").iterdir():
        file.unlink()
    write_list(root / "evaluation_setup/fold1_train.csv", clips_of(PARTS[100]))
    with pytest.raises(ValueError, match=r"lacks split_setup/test\.csv: put it there from https"):
        datasets.scan("tau2022_mobile", root)
    write_list(root / "evaluation_setup/fold1_evaluate.csv", clips_of(TEST))
    assert len(datasets.scan("tau2022_mobile", root).table) == 2 * 10 * 8
    with pytest.raises(
        ValueError,
        match=r"lacks split_setup/split5\.csv, the official 5 % .*there are lists of 100 %\): put",
    ):
        datasets.scan("tau2022_mobile_5", root)


@pytest.mark.parametrize(
    ("name", "clips", "line"),
    [
        ("split10", clips_of([(2, "a")]), r"^20 clips of split5\.csv are not in that of 10 %: "),
        (
            "split25",
            clips_of(PARTS[25])[:-1],
            "^the training list of 25 % holds only some slices of 1 recordings: ",
        ),
        (
            "test",
            clips_of([*TEST, (4, "a")]),
            "^20 clips are both in the training list of 100 % and in the test list: ",
        ),
        ("test", ["audio/tram-lyon-9-40009-a.wav"], "looks like the 2020 edition"),
        ("test", ["audio/tram-lyon-9-40009-0-q.wav"], r"is not named <scene>-<city>-"),
        ("test", clips_of([(7, "a")]), "^20 clips that .* lists are not in it: "),
    ],
)
def test_lists_that_are_not_official_are_refused(
    root: Path, name: str, clips: list[str], line: str
):
    write_list(root / f"split_setup/{name}.csv", clips)
    with pytest.raises(ValueError, match=line):
        datasets.scan("tau2022_mobile_50", root)


def test_check_counts_and_names_what_is_not_as_published(root: Path):
    report = datasets.check("tau2022_mobile_25", root)
    assert "25 %                60  60.0 % of all" in report.lines
    assert any(line.split() == ["a", "80", "144,000"] for line in report.lines)
    assert "counts of a, b, c, s1, s2, s3, s4, s5, s6 are not those published" in report.problem
    assert datasets.find("tau2022_mobile_5").seconds == 1.0
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="no clips found"):
        tau2022.look(root / "empty")
