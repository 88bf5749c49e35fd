"""The reader of TAU 2020 Mobile: the published counts, the real lists, and every usual mistake."""

import os
import warnings
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app, main
from scaling.settings import Split
from scaling.sound import datasets
from scaling.sound.clip_table import UNUSED, table
from scaling.sound.datasets import published, tau
from scaling.sound.splits import make, pairs

SCENES = [
    *("airport", "bus", "metro", "metro_station", "park", "public_square"),
    *("shopping_mall", "street_pedestrian", "street_traffic", "tram"),
]
CITIES = [
    *("barcelona", "helsinki", "lisbon", "london", "lyon"),
    *("milan", "paris", "prague", "stockholm", "vienna"),
]
OFFICIAL = Split(protocol="folds", fold=1, train_devices=("a",))
PAIRS = Split(protocol="pairs", fold=0, train_devices=("a",))


def write_list(root: Path, name: str, clips: list[str]) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["filename\tscene_label", *(f"{c}\tx" for c in clips)]) + "\n")


def lists(root: Path, parts: dict[str, list[str]]) -> None:
    write_list(root, "meta.csv", [clip for part in parts.values() for clip in part])
    write_list(root, "evaluation_setup/fold1_train.csv", parts["train"])
    write_list(root, "evaluation_setup/fold1_evaluate.csv", parts["test"])


def small() -> dict[str, list[str]]:
    """Every scene in two cities on four devices; location 1 trains, 2 is held out."""
    parts: dict[str, list[str]] = {"train": [], "test": [], "unused": []}
    for number, scene in enumerate(SCENES):
        for place, city in enumerate(("lyon", "milan")):
            for device in ("a", "b", "s4"):
                for location, part in ((1, "train"), (2, "test")):
                    known = part == "test" or device != "s4"
                    name = f"{scene}-{city}-{4 * number + 2 * place + location}-{number}-{device}"
                    parts[part if known else "unused"].append(f"audio/{name}.wav")
    return parts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree in the real layout."""
    parts = small()
    (tmp_path / "audio").mkdir()
    for number, clip in enumerate(chain(*parts.values())):
        samples = np.full(20, (number + 1) / 1000)
        soundfile.write(tmp_path / clip, samples, 44_100, subtype="PCM_24")
    lists(tmp_path, parts)
    return tmp_path


def whole(version: int) -> dict[str, list[str]]:
    """As many names as were published, on each device and in each part."""
    parts: dict[str, list[str]] = {"train": [], "test": [], "unused": []}
    for device, count in tau.VERSIONS[version].items():
        names = [
            f"audio/{SCENES[n % 10]}-{CITIES[n // 10 % 10]}-{n % 100}-{n}-{device}.wav"
            for n in range(count.all)
        ]
        parts["train"] += names[: count.train]
        parts["test"] += names[count.train : count.train + count.test]
        parts["unused"] += names[count.train + count.test :]
    return parts


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with all the names of version 2, all one file. Tests leave its audio as it is."""
    root = tmp_path_factory.mktemp("full")
    (root / "audio").mkdir()
    soundfile.write(root / "one.wav", np.zeros(20), 44_100, subtype="PCM_24")
    for clip in chain(*whole(2).values()):
        os.link(root / "one.wav", root / clip)
    return root


# What a clip's name says


def test_a_small_tree(root: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = datasets.scan("tau2020_mobile", root)
    rows = clips.table
    assert len(rows) == 120
    assert rows["clip"].tolist() == sorted(rows["clip"])
    assert sorted(set(rows["label"])) == SCENES
    first = rows.iloc[0]
    assert first[["clip", "label", "city", "device", "source"]].tolist() == [
        "audio/airport-lyon-1-0-a.wav",
        "airport",
        "lyon",
        "a",
        "lyon-1",
    ]
    assert rows["fold"].value_counts().to_dict() == {tau.TEST: 60, tau.TRAIN: 40, UNUSED: 20}
    assert rows["fold"].dtype == "Int64"
    assert (rows["fingerprint"] != "").all()
    samples, rate = clips.decode(clips.root / first["clip"])
    assert (samples.shape, rate) == ((20, 1), 44_100)


def test_unused_clips_are_in_no_part_of_the_official_fold(root: Path):
    rows = tau.scan(root).table
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = make(rows, OFFICIAL)
        every = make(rows, OFFICIAL.model_copy(update={"train_devices": ()}))
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 20,
        "seen": 20,
        "unseen": 40,
    }
    assert {name: len(part) for name, part in every.items()} == {"train": 40, "test": 60}
    unused = set(np.flatnonzero(rows["fold"] == UNUSED).tolist())
    for part in (*parts.values(), *every.values()):
        assert not unused & set(part.tolist())
    with pytest.raises(ValueError, match=r"^split\.fold=2: this dataset has folds 0\.\.1$"):
        make(rows, OFFICIAL.model_copy(update={"fold": 2}))


def test_pairs_need_no_lists(root: Path):
    for path in (root / "evaluation_setup").iterdir():
        path.unlink()
    (root / "meta.csv").unlink()
    with pytest.warns(UserWarning, match="has no evaluation_setup/fold1_train.csv: the official"):
        rows = tau.scan(root).table
    assert len(rows) == 120
    assert rows["fold"].isna().all()
    parts = make(rows, PAIRS.model_copy(update={"pairs_share": 0.5}))
    assert sum(map(len, parts.values())) == 20 + 60
    with pytest.raises(ValueError, match="120 of 120 clips have no fold"):
        make(rows, OFFICIAL)


def test_the_test_list_without_labels_is_enough(root: Path):
    setup = root / "evaluation_setup"
    before = tau.scan(root)
    (setup / "fold1_evaluate.csv").unlink()
    text = "\r\n".join(["filename", *small()["test"], ""])
    (setup / "fold1_test.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert tau.scan(root).digest == before.digest


def test_hidden_files_are_no_clips(root: Path):
    (root / "audio" / "._airport-lyon-1-0-a.wav").write_text("as macOS leaves them")
    (root / "audio" / "notes.txt").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(tau.scan(root).table) == 120


# What people get wrong


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("airport-lyon-1-2-3-a", "looks like the 2022 edition"),
        ("17", "looks like an evaluation set"),
        ("airport-lyon-1-2-s7", r"is not named <scene>-.*-<device>\.wav; tau2020_mobile is the"),
        ("airport--1-2-a", "is not named <scene>"),
    ],
)
def test_names_of_another_dataset(root: Path, name: str, line: str):
    (root / f"audio/{name}.wav").write_text("")
    with pytest.raises(ValueError, match=line):
        tau.scan(root)
    (root / f"audio/{name}.wav").unlink()
    write_list(root, "meta.csv", [f"audio/{name}.wav"])
    with pytest.raises(ValueError, match=line) as error:
        tau.scan(root)
    assert "\n" not in str(error.value)


def test_an_empty_tree(tmp_path: Path):
    line = r"^no clips found: .*/audio holds no wav files: name the folder that holds audio/ and"
    for make_folder in (False, True):
        if make_folder:
            (tmp_path / "audio").mkdir()
        for use in (tau.scan, tau.check):
            with pytest.raises(ValueError, match=line):
                use(tmp_path)


def test_missing_clips(root: Path):
    for clip in small()["train"][:7]:
        (root / clip).unlink()
    line = (
        r"^7 clips that .* lists are not in it: audio/airport-lyon-1-0-a\.wav, .* and 2 more; "
        r"audio/ looks like neither version, .*: unpack all archives of version 2 from"
    )
    with pytest.raises(ValueError, match=line) as error:
        tau.scan(root)
    assert "\n" not in str(error.value)


def test_clips_beyond_the_table_are_told(root: Path):
    extra = "audio/tram-milan-99-9-b.wav"
    os.link(root / small()["test"][0], root / extra)
    with pytest.warns(UserWarning, match=rf"^1 clips in .*audio are not in meta.csv .*: {extra};"):
        assert extra not in set(tau.scan(root).table["clip"])


def test_half_of_a_fold(root: Path):
    (root / "evaluation_setup/fold1_train.csv").unlink()
    with pytest.raises(ValueError, match=r"lacks evaluation_setup/fold1_train\.csv: unpack the"):
        tau.scan(root)
    write_list(root, "evaluation_setup/fold1_train.csv", small()["train"])
    (root / "evaluation_setup/fold1_evaluate.csv").unlink()
    with pytest.raises(ValueError, match=r"lacks .*fold1_evaluate\.csv and .*fold1_test\.csv:"):
        tau.scan(root)


def test_a_clip_on_both_sides(root: Path):
    write_list(root, "evaluation_setup/fold1_train.csv", small()["train"] + small()["test"][:1])
    with pytest.raises(ValueError, match=r"^1 clips are both in training and test list: audio/air"):
        tau.scan(root)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("file\tscene_label\nx\ty\n", "has no column filename: it is not a list of tau2020"),
        ("", r"meta\.csv cannot be read"),
        ("filename\n\x81", r"meta\.csv cannot be read"),
    ],
)
def test_lists_refused(root: Path, text: str, line: str):
    (root / "meta.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=line) as error:
        tau.scan(root)
    assert "\n" not in str(error.value)


# The published counts


def test_the_published_counts_add_up():
    sums = {
        number: tuple(map(sum, zip(*counts.values(), strict=True)))
        for number, counts in tau.VERSIONS.items()
    }
    assert sums == {1: (23_040, 13_965, 2_970, 6_105), 2: (23_035, 13_962, 2_968, 6_105)}
    for counts in tau.VERSIONS.values():
        assert all(count.all == sum(count[1:]) for count in counts.values())


def check(root: Path) -> tuple[int, str, str]:
    """`overhear data check` without decoding: exit code, what is printed, the one line."""
    words = ["data", "check", "tau2020_mobile", "--quick", "--root", str(root)]
    ended = CliRunner().invoke(app, words)
    assert ended.exception is None or isinstance(ended.exception, ValueError)
    return ended.exit_code, ended.output, str(ended.exception or "")


def test_check_of_version_2(full: Path):
    lists(full, whole(2))
    code, output, _ = check(full)
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert ["a", "14,400", "10,215", "330", "3,855"] in rows
    assert ["c", "1,077", "748", "329", "0"] in rows
    assert ["all", "23,035", "13,962", "2,968", "6,105"] in rows
    assert [line[-2:] for line in rows if line[0] == "audio/"] == [["version", "2"]]
    assert "published" not in output
    assert "tau2020_mobile: 23035 clips, none decoded, digest" in output
    assert tau.check(full).problem == ""


def test_version_1_is_told_apart():
    assert tau.TauTree(Path(), whole(1)["train"], None, None, None).versions() == {
        "audio/": "neither version"
    }
    parts = whole(1)
    every = [*chain(*parts.values())]
    tree = tau.TauTree(Path(), every, every, parts["train"], parts["test"])
    assert set(tree.versions().values()) == {"version 1"}
    for device in "bc":
        one = next(clip for clip in every if clip.endswith(f"-{device}.wav"))
        less = tree._replace(audio=[clip for clip in every if clip != one])
        assert less.versions()["audio/"] == "neither version"
        assert less.absent == [one]
    assert not tree.absent
    assert not tree.extra


def test_lists_of_version_1_with_audio_of_version_2(full: Path):
    lists(full, whole(1))
    looks = r"audio/ looks like version 2, meta\.csv looks like version 1, evaluation_setup/ looks"
    remedy = r"take meta\.csv and evaluation_setup/ of version 2 from https://zenodo"
    with pytest.raises(ValueError, match=rf"^5 clips that .* lists are .*; {looks}.*: {remedy}"):
        tau.scan(full)
    code, output, line = check(full)
    assert code != 0
    assert output.count("missing: ") == 5
    assert "5 listed clips are missing; " in line
    assert f"{looks} like version 1: {remedy}".replace("\\", "") in line
    assert "\n" not in line


def test_check_of_a_tree_that_is_not_whole(root: Path):
    for clip in small()["test"][:30]:
        (root / clip).unlink()
    os.link(root / small()["train"][0], root / "audio/tram-milan-99-9-b.wav")
    code, output, line = check(root)
    assert code != 0
    assert output.count("missing: audio/") == published.NAMED
    assert "missing: 10 more" in output
    assert "not in meta.csv: audio/tram-milan-99-9-b.wav" in output
    rows = [row.split() for row in output.splitlines()]
    assert rows[0] == ["device", "all", "train", "test", "unused"]
    assert rows[1] == ["a", "30", "20", "20", "0"]
    assert rows[2] == ["published", "14,400", "10,215", "330", "3,855"]
    assert line.startswith(f"{root} is not as published: 30 listed clips are missing; 1 clips")
    assert "counts of a, b, c, s1, s2, s3, s4, s5, s6 are not those published" in line


def test_the_problem_is_one_line_and_exit_code_2(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = ["overhear", "data", "check", "tau2020_mobile", "--root", str(root)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"overhear: {root} is not as published: counts of a, b, c")
    assert printed.err.count("\n") == 1
    assert "published" in printed.out


def test_describe_says_unused(root: Path):
    words = ["data", "describe", "tau2020_mobile", "--root", str(root), "--json"]
    assert '"unused": 20' in CliRunner().invoke(app, words).output


# The real lists of version 1


@pytest.fixture(scope="module")
def real() -> dict[str, pd.DataFrame]:
    """The clip table of each official list: fold 0 and 1."""
    folder = Path(os.environ.get("OVERHEAR_DATA", "data")) / "metadata"
    found = {}
    for fold, part in enumerate(("train", "evaluate")):
        path = folder / f"TAU-2020-mobile-v1-fold1_{part}.csv"
        if not path.exists():
            pytest.skip(
                "the lists of TAU 2020 Mobile are not here: set OVERHEAR_DATA to the folder"
            )
        clips = pd.read_csv(path, sep="\t", dtype=str)
        rows = table(tau.fields(clip) | {"clip": clip, "fold": fold} for clip in clips["filename"])
        assert (rows["label"] == clips["scene_label"]).all()
        found[part] = rows
    return found


def test_the_official_fold_is_as_published(real: dict[str, pd.DataFrame]):
    train, test = real["train"], real["evaluate"]
    assert train["device"].value_counts().to_dict() == {
        device: count.train for device, count in tau.VERSION_1.items() if count.train
    }
    assert test["device"].value_counts().to_dict() == {
        device: count.test for device, count in tau.VERSION_1.items()
    }
    assert set(pd.crosstab(test["label"], test["device"]).to_numpy().ravel()) == {33}
    assert sorted(set(train["label"])) == SCENES
    assert sorted(set(train["city"])) == CITIES


def test_the_official_fold_holds_places_out_but_no_pairs(real: dict[str, pd.DataFrame]):
    places = [set(rows["source"]) for rows in real.values()]
    assert [len(each) for each in places] == [365, 146]
    assert not places[0] & places[1]
    for rows in real.values():
        assert len(rows[["city", "label"]].drop_duplicates()) == 100
    both = pd.concat(real.values(), ignore_index=True)
    assert (both.groupby("source")["label"].nunique() == 1).all()


def test_the_official_fold_splits(real: dict[str, pd.DataFrame]):
    both = pd.concat(real.values(), ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = make(both, OFFICIAL)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 10_215,
        "seen": 330,
        "unseen": 2_640,
    }


def test_the_pairs_split_shares_no_pair(real: dict[str, pd.DataFrame]):
    both = pd.concat(real.values(), ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = make(both, PAIRS)
    sides = [
        set(both.iloc[part][["city", "label"]].itertuples(index=False)) for part in parts.values()
    ]
    assert [len(side) for side in sides] == [70, 30, 30]
    assert not sides[0] & sides[1]
    assert sides[1] == sides[2]
    devices = [set(both["device"].iloc[part]) for part in parts.values()]
    assert devices == [{"a"}, {"a"}, set(tau.DEVICES) - {"a"}]
    assert pairs(both, PAIRS)["part"].value_counts().to_dict() == {"train": 70, "test": 30}
    in_a, elsewhere = int((both["device"] == "a").sum()), int((both["device"] != "a").sum())
    assert len(parts["train"]) + len(parts["seen"]) == in_a == 10_545
    assert len(parts["train"]) / in_a == pytest.approx(0.7, abs=0.02)
    assert len(parts["unseen"]) / elsewhere == pytest.approx(0.3, abs=0.03)
