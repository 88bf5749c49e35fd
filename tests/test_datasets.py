"""Every dataset keeps one contract; ESC-10 is as published; the synthetic scenes never change."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app
from scaling.sound import datasets
from scaling.sound.clip_table import COLUMNS
from scaling.sound.clips import Report
from scaling.sound.datasets import DATASETS, esc50, find_root, manifest, scan, synthetic


def write(root: Path, *names: str) -> None:
    """Sound files of 100 samples, each its own."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(100, number / 1000), 8000, format="WAV")


@pytest.fixture
def esc(tmp_path: Path) -> Path:
    """A small tree in the layout of ESC-50; the dogs belong to ESC-10."""
    root = tmp_path / "ESC-50"
    names = ["1-100-A-0.wav", "2-200-A-0.wav", "1-300-A-49.wav"]
    write(root / "audio", *names)
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        f"{names[0]},1,0,dog,True,100,A\n"
        f"{names[1]},2,0,dog,True,200,A\n"
        f"{names[2]},1,49,hand_saw,False,300,A\n"
    )
    return root


# The contract of every dataset, and where it is looked for.


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_describes_itself(name: str):
    dataset = DATASETS[name]
    assert dataset.name == name
    assert all((dataset.about, dataset.licence, dataset.address))
    assert (dataset.rate is None) == (dataset.seconds is None) == (dataset.classes is None)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"esc_10: no such dataset \(did you mean esc10\?\)"):
        scan("esc_10")


def test_most_datasets_say_nothing_before_they_are_read(esc: Path):
    assert datasets.check("synthetic") == datasets.check("esc10", esc) == Report([])
    with pytest.raises(ValueError, match=r"esc_10: no such dataset \(did you mean esc10\?\)"):
        datasets.check("esc_10")
    with pytest.raises(ValueError, match="esc10 not found at nowhere"):
        datasets.check("esc10", "nowhere")


def test_a_quick_check_decodes_nothing(tmp_path: Path):
    write(tmp_path, "dog/a.wav")
    (tmp_path / "dog" / "b.wav").write_text("no sound")
    words = ["data", "check", "folders", "--root", str(tmp_path)]
    quick = CliRunner().invoke(app, [*words, "--quick"])
    assert quick.output.startswith("folders: 2 clips, none decoded, digest ")
    whole = CliRunner().invoke(app, words)
    assert whole.output.startswith("dog/b.wav: format not recognised")
    assert str(whole.exception) == "1 of 2 clips cannot be read"


def test_roots_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    places = ["data/ESC-50", "data/ESC-10", "mine/ESC-50", "mine/ESC-10", "given"]
    monkeypatch.setenv("OVERHEAR_DATA", "mine")
    with pytest.raises(ValueError, match=r"esc10 not found at mine/ESC-10, mine/ESC-50, .*--root"):
        find_root(esc50.ESC10)
    for place in places:
        Path(place).mkdir(parents=True)
        found = find_root(esc50.ESC10, "given" if place == "given" else None)
        assert found == Path(place)
    with pytest.raises(ValueError, match="esc10 not found at nowhere: give its folder with "):
        find_root(esc50.ESC10, "nowhere")
    monkeypatch.delenv("OVERHEAR_DATA")
    assert find_root(esc50.ESC10) == Path("data/ESC-10")
    assert find_root(esc50.ESC50) == Path("data/ESC-50")
    with pytest.raises(ValueError, match="manifest has no default folder: give yours with --root"):
        find_root(manifest.DATASET)
    with pytest.raises(ValueError, match=r"manifest not found at x: give its folder with --root$"):
        find_root(manifest.DATASET, "x")


def test_a_tree_of_another_dataset(esc: Path):
    with pytest.raises(ValueError, match=r"^esc50 has 50 classes, but .* holds 2: name the right"):
        scan("esc50", esc)


# ESC-50 and ESC-10


def test_esc10_out_of_esc50(esc: Path):
    clips = esc50.scan_ten(esc)
    assert clips.table["clip"].tolist() == ["audio/1-100-A-0.wav", "audio/2-200-A-0.wav"]
    assert clips.table["label"].tolist() == ["dog", "dog"]
    assert clips.table["fold"].tolist() == [1, 2]
    assert clips.table["source"].tolist() == ["100", "200"]
    assert len(esc50.scan(esc).table) == 3
    assert len(clips.decode(clips.root / clips.table["clip"][1]).samples) == 100


def test_esc_trees_that_are_not_whole(esc: Path):
    (esc / "audio" / "2-200-A-0.wav").unlink()
    (esc / "audio" / "1-300-A-49.wav").unlink()
    line = r"2 of 3 clips cannot be opened below .*: audio/2-200-A-0\.wav .*, audio/1-300"
    with pytest.raises(ValueError, match=line):
        esc50.scan(esc)
    table = esc / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace("src_file", "source"))
    with pytest.raises(ValueError, match=r"esc50\.csv has no column src_file"):
        esc50.scan(esc)
    for content in ("", "\x81"):
        table.write_text(content, encoding="latin-1")
        with pytest.raises(ValueError, match=r"esc50\.csv cannot be read.* \(.*--root"):
            esc50.scan(esc)
    shutil.rmtree(esc / "meta")
    with pytest.raises(ValueError, match=r"No such file.*name the folder that holds audio/ and"):
        esc50.scan(esc)


def test_esc10_is_as_published(esc10: Path):
    clips = scan("esc10", esc10)
    table = clips.table
    assert len(table) == 400
    assert table["label"].value_counts().tolist() == [40] * 10
    assert table["fold"].value_counts().sort_index().to_dict() == dict.fromkeys(range(1, 6), 80)
    assert table["source"].nunique() == 304
    assert (table.groupby("source")["fold"].nunique() == 1).all()
    assert table["fingerprint"].nunique() == 400
    samples, rate = clips.decode(clips.root / table["clip"][0])
    assert rate == 44_100
    assert samples.shape[1] == 1
    assert len(samples) == pytest.approx(5 * 44_100, rel=0.02)


# The user's own table


def manifest_of(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root / "manifest.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_manifest_with_everything(tmp_path: Path):
    write(tmp_path, "a b.wav", "deep/c.wav")
    absolute = tmp_path / "elsewhere" / "d.wav"
    write(absolute.parent, "another.wav", "a third.wav", absolute.name)
    (tmp_path / "lists").mkdir()
    text = (
        "label,path,fold,device,city,speaker,source\n"
        'NA,"../a b.wav",0,x,Paris,007,s1\n'
        "\n"
        f"yes,{absolute},12,,,,\n"
        "no,../deep/c.wav,,y,,,\n"
    )
    path = manifest_of(tmp_path / "lists", text, "utf-8-sig")
    clips = manifest.scan(path)
    table = clips.table
    assert clips.root == tmp_path / "lists"
    assert table["clip"].tolist() == ["../a b.wav", str(absolute), "../deep/c.wav"]
    assert table["label"].tolist() == ["NA", "yes", "no"]
    assert table["fold"].fillna(-1).tolist() == [0, 12, -1]
    assert table["speaker"].tolist() == ["007", "", ""]
    assert table.iloc[0][["device", "city", "source"]].tolist() == ["x", "Paris", "s1"]
    for clip in table["clip"]:
        assert len(clips.decode(clips.root / clip).samples) == 100
    assert scan("manifest", tmp_path / "lists").digest == clips.digest


@pytest.mark.parametrize("labels", [[3, 4], ["3", "4"]])
def test_manifest_in_parquet(tmp_path: Path, labels: list[object]):
    write(tmp_path, "a.wav", "b.wav")
    rows = {"path": ["a.wav", "b.wav"], "label": labels, "fold": [1, None], "speaker": [7, None]}
    pq.write_table(pa.table(rows), tmp_path / "manifest.parquet")
    table = manifest.scan(tmp_path).table
    assert table["speaker"].tolist() == ["7", ""]
    assert table["label"].tolist() == ["3", "4"]
    assert table["fold"].fillna(-1).tolist() == [1, -1]


def test_manifest_warns_of_columns_it_does_not_use(tmp_path: Path):
    write(tmp_path, "a.wav")
    manifest_of(tmp_path, "path,label,folds,notes\na.wav,x,1,hi\n")
    with pytest.warns(UserWarning, match=r"columns not used: folds, notes \(known: path, label, "):
        assert manifest.scan(tmp_path).table["fold"].isna().all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("where,label\na.wav,x\n", "has no column path: it has where, label: name yours, as --col"),
        ("path label\na.wav x\n", "has no column path: it has path label"),
        (
            "path,Labl\na.wav,x\n",
            r"no column label: it has path, Labl \(did you mean Labl\?\): name yo",
        ),
        ("", r"cannot be read \(it is empty\)"),
        ("path,label\n", "no clips found"),
        ("path,label,label\na.wav,x,x\n", "a column is named twice in path, label, label"),
        ("path,label\na.wav,x,1\n", "row 1 has 3 fields, the header 2"),
        ("path,label\na.wav,x\n\na.wav\n", "row 2 has 1 fields, the header 2"),
        ("path,label\na.wav,x\na.wav,y\n", r"clip a\.wav is listed 2 times, in rows 1, 2"),
        ("path,label\na.wav,\n", r"row 1 \(clip a\.wav\) has no label"),
        ("path,label,fold\na.wav,x,two\n", "fold=two in row 1"),
        ("path,label\na.wav,x\nb.wav,x\n", r"1 of 2 clips cannot be opened below .*: b\.wav"),
        ('path,label\na.wav,"x\n', "cannot be read as CSV: .* after row 0: is a quotation mark"),
        ("path,label\na.wav,\x81\n", r"cannot be read as text in UTF-8 \(.*, row 1\): save it as"),
    ],
)
def test_manifests_refused(tmp_path: Path, text: str, line: str):
    write(tmp_path, "a.wav")
    with pytest.raises(ValueError, match=line) as error:
        scan("manifest", manifest_of(tmp_path, text, "latin-1"))
    assert "\n" not in str(error.value)


def test_manifest_not_found_or_twice(tmp_path: Path):
    with pytest.raises(
        ValueError, match=r"holds no manifest: name the table itself with --root, or"
    ):
        scan("manifest", tmp_path)
    (tmp_path / "manifest.parquet").write_text("no Parquet")
    with pytest.raises(ValueError, match=r"manifest\.parquet cannot be read as Parquet"):
        scan("manifest", tmp_path)
    manifest_of(tmp_path, "path,label\n")
    with pytest.raises(ValueError, match=r"holds manifest\.csv and manifest\.parquet: name the"):
        scan("manifest", tmp_path)


# One folder for each label


def test_folders(tmp_path: Path):
    write(tmp_path, "dog/a.wav", "dog/deep/er/b.WAV", "cat/a.wav", ".git/x.wav", "cat/.hidden.wav")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = scan("folders", tmp_path)
    assert clips.table["clip"].tolist() == ["cat/a.wav", "dog/a.wav", "dog/deep/er/b.WAV"]
    assert clips.table["label"].tolist() == ["cat", "dog", "dog"]
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    shutil.copytree(tmp_path, moved)
    assert scan("folders", moved).digest == clips.digest


def test_folders_follow_links(tmp_path: Path):
    write(tmp_path, "elsewhere/a.wav")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "dog").symlink_to(tmp_path / "elsewhere")
    assert scan("folders", tmp_path / "root").table["clip"].tolist() == ["dog/a.wav"]


def test_folders_count_what_they_leave_out(tmp_path: Path):
    write(tmp_path, "dog/a.wav", "no-label.wav", "dog/notes.txt")
    line = "left out below .*, as no sound in a label's folder: dog/notes.txt, no-label.wav$"
    with pytest.warns(UserWarning, match=line):
        assert len(scan("folders", tmp_path).table) == 1


def test_folders_without_sound(tmp_path: Path):
    write(tmp_path, "a.wav")
    with pytest.raises(ValueError, match=r"no clips found below .* one folder for each label"):
        scan("folders", tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        scan("folders", tmp_path / "a.wav")


# The embedded scenes


def hear(*names: str) -> np.ndarray:
    return np.stack([synthetic.decode(Path(name)).samples[:, 0] for name in names])


def test_scenes_are_ten_in_ten_towns_on_five_devices():
    clips = scan("synthetic")
    table = clips.table
    assert list(table) == list(COLUMNS)
    assert len(table) == 10 * 10 * synthetic.RECORDINGS * 5
    assert (table.groupby(["label", "fold", "device"]).size() == 2 * synthetic.RECORDINGS).all()
    assert (table.groupby("city")["fold"].nunique() == 1).all()
    parallel = table.groupby("source").agg({"device": "nunique", "fold": "nunique"})
    assert (parallel["device"] == 5).all()
    assert (parallel["fold"] == 1).all()
    with pytest.raises(ValueError, match="synthetic needs no files: leave --root here out"):
        scan("synthetic", "here")


def test_a_clip_is_the_same_in_any_order():
    names = ["meadow/alder/0/a", "kitchen/oak/3/s2", "crossing/pine/9/b"]
    first = hear(*names)
    synthetic.record.cache_clear()
    assert np.array_equal(first, hear(*names[::-1])[::-1])


def test_scenes_never_change():
    """Stores know them by VERSION, DIFFICULTY and DEVICES: raise VERSION when all else changed."""
    names = [f"{scene}/{synthetic.TOWNS[n]}/0/a" for n, scene in enumerate(synthetic.SCENES)]
    names += [f"garage/elm/1/{device}" for device in synthetic.DEVICES]
    waves = hear(*names)
    sizes = np.abs(np.diff(waves)).mean(axis=1) / np.abs(waves).mean(axis=1)
    assert synthetic.VERSION == 1
    ten = [0.5364, 1.1398, 0.3424, 0.276, 0.5773, 0.9109, 0.7631, 0.8442, 0.3066, 0.2428]
    assert sizes[:10].tolist() == pytest.approx(ten, rel=1e-3)
    assert sizes[10:].tolist() == pytest.approx([0.2901, 0.239, 0.209, 0.2232, 0.6575], rel=1e-3)


def test_every_clip_is_a_sound_within_full_scale():
    table = scan("synthetic").table
    waves = hear(*table["clip"].iloc[::61])
    assert waves.dtype == np.float32
    assert np.isfinite(waves).all()
    assert np.abs(waves).max() < 1
    levels = 20 * np.log10(np.sqrt(np.mean(waves**2, axis=1)))
    assert -33 < levels.min() < levels.max() < -17
    assert np.abs(hear("kitchen/alder/8/a")).max() == pytest.approx(0.99)  # limited


def test_devices_hear_the_same_recording():
    """In energy over time and pitch a copy is far closer to its own recording than to another."""

    def picture(name: str) -> np.ndarray:
        frames = hear(name)[0].reshape(-1, 400)
        power = np.abs(np.fft.rfft(frames * np.hanning(400))) ** 2
        levels = np.log(power[:, :200].reshape(40, 25, 8).sum(axis=2) + 1e-6)
        flat: np.ndarray = (levels - levels.mean(axis=0)).ravel()
        return flat

    for device in ("b", "c", "s1", "s2"):
        alike = [
            np.corrcoef(picture(f"{scene}/elm/4/a"), picture(f"{scene}/elm/{n}/{device}"))[0, 1]
            for n in (4, 5)
            for scene in ("street", "hearth", "harbour", "garden")
        ]
        assert np.mean(alike[:4]) > 0.4 > 0.2 > np.mean(alike[4:])


def test_other_devices_are_harder():
    """A linear classifier of levels by pitch, learnt on device a, is lost on s1 and s2."""

    def facts(table: pd.DataFrame) -> np.ndarray:
        frames = hear(*table["clip"]).reshape(len(table), -1, 320)
        power = np.abs(np.fft.rfft(frames * np.hanning(320), axis=2)) ** 2
        levels = np.log(power[:, :, :160].reshape(len(table), -1, 20, 8).sum(axis=3) + 1e-6)
        ups = np.diff(levels, axis=1)
        return np.hstack([levels.mean(axis=1), levels.std(axis=1), ups.std(axis=1)])

    table = scan("synthetic").table
    table = table[table["clip"].str.contains("/[0-2]/", regex=True)]
    held = table["fold"] == 1
    train = table[~held & (table["device"] == "a")]
    features = facts(train)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    known = (features - mean) / spread
    classes = np.eye(10)[train["label"].map(list(synthetic.SCENES).index)]
    weights = np.linalg.solve(known.T @ known + 30 * np.eye(60), known.T @ (classes - 0.1))

    def accuracy(rows: pd.DataFrame) -> float:
        best = ((facts(rows) - mean) / spread @ weights).argmax(axis=1)
        return float(np.mean(np.array(list(synthetic.SCENES))[best] == rows["label"]))

    seen = accuracy(table[held & (table["device"] == "a")])
    unseen = accuracy(table[held & table["device"].isin(["s1", "s2"])])
    assert seen > 0.4
    assert unseen < seen - 0.05


@pytest.mark.parametrize(
    "name",
    ["meadow/alder/0", "x/alder/0/a", "meadow/x/0/a", "meadow/alder/x/a", "meadow/alder/0/x"],
)
def test_no_such_scene(name: str):
    with pytest.raises(ValueError, match="no such clip"):
        synthetic.decode(Path(name))


def test_a_change_of_difficulty_is_another_dataset(monkeypatch: pytest.MonkeyPatch):
    before = scan("synthetic").digest
    monkeypatch.setattr(synthetic, "DIFFICULTY", synthetic.Difficulty(guest=0.1))
    assert scan("synthetic").digest != before
    assert datasets.scan("synthetic").root == Path()
