"""A person's own table and folders as other programs leave them: any delimiter, encoding, header
and slash is read as a person would, and what cannot be is one line.
"""

import hashlib
import os
import pickle
import shutil
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app
from scaling.settings import Trial, changed
from scaling.sound import datasets
from scaling.sound.clip_table import digest, table
from scaling.sound.clips import Clips
from scaling.sound.datasets import headers, labels, signatures, sources, tables
from scaling.sound.datasets.reading import Reading, grouped, reading
from scaling.sound.folds import made_folds
from scaling.sound.packing import pack
from sweeps.engine.preflight import Task, ready
from sweeps.launch import Compute, Recordings

PLAIN = "path,label,fold,speaker\ndog/a.wav,dog,1,007\ncat/b.wav,cat,2,NA\n"


def write(root: Path, *names: str, form: str = "WAV") -> None:
    """Sound files of 100 samples, each its own."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:2])
        wave = np.sin(np.arange(100) * (1 + number)) * (1 + mark) / 2**17
        soundfile.write(path, wave, 8000, format=form)


def run(*words: str) -> tuple[str, str]:
    """A command: what is printed, and the one line of its error."""
    ended = CliRunner().invoke(app, words)
    assert ended.exception is None or isinstance(ended.exception, ValueError), ended.exception
    line = str(ended.exception or "")
    assert "\n" not in line
    return ended.output, line


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips and their plain manifest."""
    write(tmp_path, "dog/a.wav", "cat/b.wav")
    (tmp_path / "manifest.csv").write_text(PLAIN)
    return tmp_path


def same(root: Path, content: bytes, name: str = "manifest.csv") -> list[str]:
    """What is said of a table that lists just what the plain one does."""
    expected = datasets.scan("manifest", root / "manifest.csv")
    (root / name).write_bytes(content)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = datasets.scan("manifest", root / name)
    assert found.digest == expected.digest
    assert found.table["speaker"].tolist() == ["007", "NA"]
    return [str(each.message) for each in said]


def refusal(path: Path) -> str:
    """What is said of a table that is refused; "" if it is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            datasets.scan("manifest", path)
        except ValueError as error:
            return str(error)
    return ""


WINDOWS = PLAIN.replace("/", "\\").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace(",", "|").encode(),
        ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
        PLAIN.replace(",", ", ").encode(),
        PLAIN.replace("path,label", " Path ,LABEL").encode(),
        PLAIN.replace("path,label,fold", '"Path","La bel",Fold').encode(),
        WINDOWS.encode(),
        WINDOWS.replace(",", ";").encode("utf-16"),
        PLAIN.replace("cat/b.wav", '"cat/b.wav"').replace("\n", "\r").encode(),
    ],
)
def test_a_table_is_read_as_it_was_written(root: Path, content: bytes):
    assert same(root, content) == []


@pytest.mark.parametrize(
    ("old", "new", "guess"),
    [
        ("path,label", "filename,category", "filename as path, category as label"),
        ("path,label", "File Name,Class", "File Name as path, Class as label"),
        ("path", "file_path", "file_path as path"),
        ("speaker", "Speaker-ID", "Speaker-ID as speaker"),
    ],
)
def test_names_that_other_programs_give(root: Path, old: str, new: str, guess: str):
    said = same(root, PLAIN.replace(old, new).encode())
    assert len(said) == 1
    assert f": reading {guess} (--column names others)" in said[0]


@pytest.mark.parametrize("name", ["Manifest.CSV", "manifest.tsv", "MANIFEST.csv"])
def test_the_one_manifest_of_a_folder(root: Path, name: str):
    expected = datasets.scan("manifest", root).digest
    (root / "manifest.csv").rename(root / name)
    assert datasets.scan("manifest", root).digest == expected


def test_an_error_is_never_as_long_as_what_it_is_about(tmp_path: Path):
    names = ",".join(f"{'n' * 9000}{n}" for n in range(99))
    for text in (
        f"{names}\n",
        f"path,label\n{'a' * 100_000},x\n",
        f"path,label\n{'a/' * 50_000},x\n",
    ):
        (tmp_path / "manifest.csv").write_text(text)
        assert 0 < len(refusal(tmp_path / "manifest.csv")) < 2000


def test_windows_1252_is_a_guess_that_is_said(root: Path):
    (root / "cat/b.wav").rename(root / "cat/ä.wav")
    said = "path,label\ncat/ä.wav,kätzchen\ndog/a.wav,dog\n"
    (root / "manifest.csv").write_text(said, encoding="cp1252")
    line = r"manifest\.csv is not UTF-8 \(row 1\) and is read as Windows-1252: save it as UTF-8 if"
    with pytest.warns(UserWarning, match=line):
        assert datasets.scan("manifest", root).table["label"].tolist() == ["kätzchen", "dog"]


def test_a_backslash_that_belongs_to_a_name(root: Path):
    write(root, "dog\\x.wav")
    (root / "manifest.csv").write_text("path,label\ndog\\x.wav,a\ndog\\a.wav,b\n")
    assert datasets.scan("manifest", root).table["clip"].tolist() == ["dog\\x.wav", "dog/a.wav"]


def test_columns_of_other_names(root: Path):
    expected = datasets.scan("manifest", root).digest
    text = PLAIN.replace("path,label", "wo,was").replace("speaker", "path")
    (root / "manifest.csv").write_text(text)
    words = ["--column", "path=wo", "--column", "label=was", "--column", "speaker=path"]
    for command in ("describe", "check"):
        output, line = run("data", command, "manifest", "--root", str(root), *words)
        assert (expected if command == "describe" else "2 clips, all readable") in output
        assert line == ""
    assert datasets.scan("manifest", root, reading(words[1::2], None)).digest == expected


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["path"], "--column path: write OURS=YOURS, such as path=filename"),
        (["pfad=path"], r"pfad is not a column \(known: path, label"),
        (["label=labl"], r"has no column labl: it has .* \(did you mean label\?\)"),
        (["path=a", "path=b"], "--column path=b: path is already a: name it once"),
        (["path=a", "label=a"], "--column label=a: a is already another column: name it once"),
    ],
)
def test_columns_refused(root: Path, words: list[str], line: str):
    with pytest.raises(ValueError, match=line):
        datasets.scan("manifest", root, reading(words, None))


def test_another_node_reads_as_the_driver_did(
    root: Path, tmp_path: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
):
    """It has the files, and the driver's task, but not its packed clips."""
    names = [f"{label}/x_s{n}.wav" for label in ("cat_1", "dog_1") for n in (1, 2)]
    names = [name.replace("x", str(take)) for name in names for take in (1, 2)]
    write(root, *names)
    lines = [f"{name};{name.split('/')[0]}" for name in names]
    (root / "manifest.csv").write_text("\n".join(["wo;was", *lines]))
    read = reading(["path=wo", "label=was"], "_(s[0-9])[.]")
    clips = datasets.scan("manifest", root, read)
    name = pack(clips, 8000, cache=tmp_path / "driver", progress=False).folder.name
    shutil.rmtree(tmp_path / "driver")  # which is another machine's
    stores = {"manifest@8000": str(tmp_path / "driver" / name)}
    recordings, glances = Recordings(str(root), read), {"manifest@8000": clips.digest}
    task = Task(stores, "", 1, Compute("cpu", "float32"), recordings, glances)
    task = pickle.loads(pickle.dumps(task))
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "node"))
    ours = changed(trial, {"sound.dataset": "manifest", "sound.rate": "8000"})
    with pytest.raises(ValueError, match=r"cannot be packed: .* has no column path"):
        ready(ours, replace(task, recordings=Recordings(str(root))))
    found = ready(ours, task)
    assert found.table["source"].tolist() == ["s1", "s1", "s2", "s2"] * 2
    assert found.folder == tmp_path / "node" / name


def test_columns_are_those_of_a_manifest(root: Path):
    with pytest.raises(
        ValueError, match=r"^--column path=x: folders has no table of yours: leave --column"
    ):
        datasets.scan("folders", root, reading(["path=x"], None))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("filename,file,label\na,a,x\n", "filename and file could both be the column path"),
        ("Path,PATH,label\na,a,x\n", "Path and PATH could both be the column path: "),
        ("path,Labl\na,x\n", r"has no column label: it has path, Labl \(did you mean Labl\?\): "
         "name yours, as --column label=Labl"),
        ("path,label\na,\0\n", r"label='\\x00' in row 1 holds a NUL character: rename it"),
        ("path,label\na\0,x\n", r"clip='a\\x00' in row 1 holds a NUL character"),
        ("path,label,fold\na,x,1180591620717411303424\n", "fold=1180.* in row 1: a fold is a"),
        ("path,label,fold\na,x,9007199254740993\n", "fold=9007199254740993 in row 1: a fold"),
        ("path,label,fold\na,x,1e3\n", "fold=1e3 in row 1: a fold is a whole number from 0 up to"),
        ("path,label,fold\na,x,1_0\n", "fold=1_0 in row 1"),
        ("path,label,fold\na,x,٧\n", "fold=٧ in row 1"),
        ("path,label,fold\na,x,true\n", "fold=true in row 1"),
        ("path,label,device\na,x,all\n", r"device='all' in row 1 \(clip a\): 'all' is what records "
         "call the mean over devices: rename the device; such rows: 1"),
        ("path,label,device\na,x, \n", r"device=' ' in row 1 \(clip a\): a device has a name"),
        ("path,label\na,caf\u00e9\nb,cafe\u0301\n",
         r"label cafe\u0301 is written in two Unicode forms, 'caf\\xe9' \(e\.g\. row 1\) and "
         r"'cafe\\u0301' \(e\.g\. row 2\), which would be two classes: write"),
        (f"path,label\na,{'x' * 200_000}\n", "a field has more than 131,072 characters"),
        ('path,label\na,"x\n' + "b,y\n" * 60_000, "a field has more than 131,072 characters"),
    ],
)  # fmt: skip
def test_tables_refused(tmp_path: Path, text: str, line: str):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(ValueError, match=line) as error:
        datasets.scan("manifest", tmp_path)
    assert "\n" not in str(error.value)
    assert "manifest.csv" in str(error.value)


def test_a_spreadsheet_is_told_to_save_a_table(tmp_path: Path):
    for name, content in (("m.xlsx", b"PK\x03\x04rest"), ("m.xls", b"\xd0\xcf\x11\xe0rest")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} is a spreadsheet's own format: save it as"):
            datasets.scan("manifest", tmp_path / name)


def test_bounds_of_tables(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "BYTES", 300)
    for kind in (pa.string(), pa.large_string(), pa.large_binary()):
        rows = {"path": pa.array(["a"] * 9), "label": pa.array(["x" * 50] * 9).cast(kind)}
        pq.write_table(pa.table(rows), root / "m.parquet")
        with pytest.raises(ValueError, match="holds 459 characters, the most is 300: is it a tab"):
            datasets.scan("manifest", root / "m.parquet")
    monkeypatch.setattr(tables, "BYTES", 30)
    with pytest.raises(ValueError, match=r"columns path, label have [0-9]+ bytes, the most is 30"):
        datasets.scan("manifest", root / "m.parquet")
    with pytest.raises(ValueError, match=r"manifest\.csv has more than 30 bytes: list paths and"):
        datasets.scan("manifest", root)
    monkeypatch.undo()
    monkeypatch.setattr(tables, "ROWS", 1)
    with pytest.raises(ValueError, match=r"manifest\.csv has more than 1 rows: split it into"):
        datasets.scan("manifest", root)


def test_a_parquet_of_too_many_rows_is_refused_at_once(tmp_path: Path):
    """Six million in a few kilobytes."""
    path = tmp_path / "m.parquet"
    same = pa.DictionaryArray.from_arrays(np.zeros(10**6, np.int8), ["x"])
    part = pa.table({"path": same, "label": same})
    with pq.ParquetWriter(path, part.schema) as writer:
        for _ in range(6):
            writer.write_table(part, row_group_size=10**6)
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match="claims 6,000,000 rows, the most is 5,000,000: split it"):
        datasets.scan("manifest", path)


def test_damaged_text_is_one_line(root: Path):
    random = np.random.default_rng(12)
    refused = 0
    for turn in range(300):
        content = bytearray(PLAIN.encode(("utf-8", "utf-16", "utf-8-sig")[turn % 3]))
        for _ in range(random.integers(1, 6)):
            at = int(random.integers(len(content)))
            bits = (b"\0", b"\xff", b'"', b"\n", b"\r", b",", b"\xed\xa0\x80", b"\x85", b"\x1c")
            if random.integers(2):
                content[at] ^= 1 << random.integers(8)
            else:
                content[at:at] = bits[random.integers(len(bits))]
        (root / "m.csv").write_bytes(content)
        said = refusal(root / "m.csv")
        refused += said != ""
        assert "\n" not in said
        assert said == "" or "m.csv" in said
    assert refused > 150


# Parquet


@pytest.mark.parametrize("name", ["m.parquet", "m.PARQUET", "m.pq", "m.csv"])
def test_parquet_by_its_content(root: Path, name: str):
    rows = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    rows.to_parquet(root / name)
    expected = datasets.scan("manifest", root / "manifest.csv").digest
    assert datasets.scan("manifest", root / name).digest == expected
    rows.set_index("path").to_parquet(root / name)  # an index of that name is a column
    assert datasets.scan("manifest", root / name).digest == expected
    pq.write_table(pa.table({**rows, "fold": [1, 2], "label": [b"dog", b"cat"]}), root / name)
    assert datasets.scan("manifest", root / name).digest == expected


def test_numbers_in_parquet(root: Path):
    """Whatever the types that a program chose."""
    rows = {"path": ["dog/a.wav", "cat/b.wav"], "label": [1.0, 2.0], "fold": [1.0, None]}
    pq.write_table(pa.table({**rows, "speaker": [7, None]}), root / "m.parquet")
    found = datasets.scan("manifest", root / "m.parquet").table
    assert found["label"].tolist() == ["1.0", "2.0"]
    assert found["fold"].fillna(-1).tolist() == [1, -1]
    assert found["speaker"].tolist() == ["7", ""]


@pytest.mark.parametrize(
    ("column", "cells", "line"),
    [
        ("label", [b"ok", b"\xff"], r"label=b'\\xff' in row 2: these bytes are not UTF-8 text"),
        ("label", [["a"], ["b"]], r"column label holds list<.*> from row 1 on: a cell holds one"),
        ("label", [{"a": 1}, {"a": 2}], r"column label holds struct<.*> from row 1 on"),
        ("fold", [True, False], r"fold=True in row 1: a fold is a whole number"),
        ("fold", [2**53 + 1, 1], r"fold=9007199254740993 in row 1"),
        ("fold", [float("inf"), 1], r"fold=inf in row 1"),
        ("fold", [b"1", b"x"], r"fold=b'1' in row 1"),
    ],
)
def test_parquet_refused(root: Path, column: str, cells: list[object], line: str):
    rows = {"path": ["dog/a.wav", "cat/b.wav"], "label": ["x", "y"]} | {column: cells}
    pq.write_table(pa.table(rows), root / "m.parquet")
    with pytest.raises(ValueError, match=line) as error:
        datasets.scan("manifest", root / "m.parquet")
    assert "m.parquet" in str(error.value)
    assert "\n" not in str(error.value)


def test_cells_that_are_no_text():
    """As a reader of one's own may give them."""
    for cell, line in (
        (["a"], r"label=\['a'\] in row 1 is a list: a cell holds one text"),
        (np.array(["a", "b"]), "in row 1 is a ndarray: a cell holds one text"),
        ("a\ud800", r"label='a\\ud800' in row 1 is not valid Unicode: rename it"),
    ):
        with pytest.raises(ValueError, match=line):
            table([{"clip": "a.wav", "label": cell}])


def test_damaged_parquet_is_one_line(root: Path):
    rows = pa.table({"path": ["dog/a.wav", "cat/b.wav"] * 99, "label": ["x", "y"] * 99})
    pq.write_table(rows, root / "m.parquet")
    content = (root / "m.parquet").read_bytes()
    random = np.random.default_rng(11)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content[: random.integers(4, len(content) + 1)])
        for at in random.integers(4, max(5, len(damaged)), size=3):
            damaged[min(at, len(damaged) - 1)] ^= 1 << random.integers(8)
        (root / "m.parquet").write_bytes(damaged)
        said = refusal(root / "m.parquet")
        refused += said != ""
        assert "\n" not in said
        assert said == "" or "m.parquet" in said
    assert refused > 150


# Folders


def test_sound_is_taken_whatever_its_ending(tmp_path: Path):
    forms = {
        "a.wave": "WAV", "b.snd": "AU", "c.sph": "NIST", "d.aifc": "AIFF", "e.wav.bak": "WAV",
        "f": "FLAC", "g.bin": "OGG", "h.data": "MP3", "i.x": "W64", "j.x": "CAF", "k.x": "RF64",
        "l.x": "AIFF", "m.x": "AU", "n.x": "VOC", "o.x": "SVX", "p.x": "NIST", "q.x": "PVF",
        "r.x": "IRCAM", "s.x": "AVR", "t.x": "XI",
    }  # fmt: skip
    for name, form in forms.items():
        subtype = {"XI": "DPCM_16"}.get(form)
        path = tmp_path / f"class {name}" / name
        path.parent.mkdir()
        wave = np.sin(np.arange(4000) * (1 + len(name) + ord(name[0])))
        soundfile.write(path, wave, 44_100, format=form, subtype=subtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = datasets.scan("folders", tmp_path).table
    assert sorted(found["label"]) == sorted(f"class {name}" for name in forms)


@pytest.mark.parametrize(
    "content", ["text".encode("utf-16"), b"\xff\xd8\xff\xe0", b"\x89PNG", b"", b"x"]
)
def test_what_is_no_sound(tmp_path: Path, content: bytes):
    (tmp_path / "x.bin").write_bytes(content)
    assert signatures.kind(tmp_path / "x.bin") == "other"


def test_a_class_that_would_vanish_is_refused(tmp_path: Path):
    write(tmp_path, "dog/a.wav", "cat/b.wav")
    (tmp_path / "docs").mkdir()
    line = "folders in .* without sound, which are no labels: docs$"
    with pytest.warns(UserWarning, match=line):
        assert set(datasets.scan("folders", tmp_path).table["label"]) == {"dog", "cat"}
    (tmp_path / "docs").rename(tmp_path / "lost+found")  # as every Linux disk has it
    (tmp_path / "cat/b.wav").rename(tmp_path / "cat/b.m4a")
    (tmp_path / "cat/b.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    line = r"^no recording of label cat below .* can be read \(cat/b\.m4a\): convert them to wav"
    with pytest.raises(ValueError, match=line):
        datasets.scan("folders", tmp_path)
    write(tmp_path, "cat/c.wav")
    line = r"^left out below .*, as sound of a format that is not read \(.*\): cat/b\.m4a$"
    with pytest.warns(UserWarning, match=line):
        assert len(datasets.scan("folders", tmp_path).table) == 2


def test_names_that_are_not_utf_8(tmp_path: Path):
    write(tmp_path, "dog/a.wav")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/dog/\xe4.wav")).write_bytes(b"x")
    line = r"^names below .* that are not UTF-8: 'dog/\\xe4\.wav': rename them"
    with pytest.raises(ValueError, match=line):
        datasets.scan("folders", tmp_path)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ("dog", "Dog", "dog ", "cat"),
            r"alone are classes of their own: 'Dog' and 'dog' and 'dog ': ",
        ),
        (
            ("train", "test"),
            "labels test, train look like parts of a split, not like classes: name",
        ),
        (("fold1", "fold2"), "labels fold1, fold2 look like parts of a split"),
        (
            ("yes", "_background_noise_"),
            "label _background_noise_ looks like a folder of background",
        ),
    ],
)
def test_labels_that_nobody_meant(tmp_path: Path, names: tuple[str, ...], line: str):
    write(tmp_path, *(f"{name}/{name}.wav" for name in names))
    with pytest.warns(UserWarning, match=line):
        datasets.scan("folders", tmp_path)


def test_labels_that_are_meant():
    assert labels.doubtful(["train", "tram", "bus", "metro"]) == []
    assert labels.doubtful(["car_horn", "dog bark", "a_"]) == []


# Who was recorded


def own(*rows: tuple[str, str], **more: object) -> pd.DataFrame:
    return table([{"clip": clip, "label": label, **more} for clip, label in rows])


SPEAKERS = [
    (f"{label}/{label}_spk{who:02}_take{take}.wav", label)
    for label in ("dog", "cat") for who in range(6) for take in range(3)
]  # fmt: skip
NAMES = [
    (f"{label}/{label}_{who}_{take}.wav", label)
    for label in "012" for who in ("theo", "anna", "kim") for take in range(3)
]  # fmt: skip
DEEP = [
    (f"{label}/{who}/{take}.wav", label)
    for label in ("dog", "cat") for who in ("anna", "kim") for take in range(3)
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "groups"),
    [
        (SPEAKERS, {f"spk{n:02}" for n in range(6)}),
        (NAMES, {"theo", "anna", "kim"}),
        (DEEP, {"anna", "kim"}),
    ],
)
def test_apparent_sources_and_the_pattern_that_keeps_them_together(
    rows: list[tuple[str, str]], groups: set[str]
):
    found = own(*rows)
    line = sources.warning(found)
    assert f"{len(rows)} of {len(rows)} clips seem to come from {len(groups)} sources" in line
    assert "no folds keep them together" in line
    pattern = line.partition("--group-from '")[2].removesuffix("'")
    kept = grouped(Clips("x", Path(), found, lambda path: None), pattern).table  # type: ignore[arg-type, return-value]
    assert set(kept["source"]) == groups
    folds = made_folds(kept, 2)
    assert (pd.Series(folds).groupby(kept["source"]).nunique() == 1).all()
    assert sources.warning(kept) == ""


@pytest.mark.parametrize(
    "rows",
    [
        [(f"{label}/{label}_{n}.wav", label) for label in ("dog", "cat") for n in range(9)],
        [(f"{label}/{n}.wav", label) for label in ("dog", "cat") for n in range(9)],
        [(f"{label}/rec_{n:03}.wav", label) for label in ("dog", "cat") for n in range(9)],
        [
            (f"{'dog' if n % 2 else 'cat'}/{n * 7919 % 997}-{n}.wav", "dog" if n % 2 else "cat")
            for n in range(18)
        ],
        # ESC-10's: a fold, a source, a take that is always A, a class
        [
            (f"{label}/{n % 5}-{n * 7919}-A-{code}.wav", label)
            for code, label in enumerate(("dog", "cat"))
            for n in range(20 * code, 20 * code + 20)
        ],
    ],
)
def test_names_that_hint_at_nothing(rows: list[tuple[str, str]]):
    assert sources.warning(own(*rows)) == ""


def test_folds_that_tear_or_keep_apparent_sources():
    apart = [{"clip": clip, "label": label, "fold": int(clip[-5])} for clip, label in SPEAKERS]
    line = sources.warning(table(apart))
    assert "and 6 of these are in more than one fold, so test clips may share their source" in line
    kept = [row | {"fold": int(str(row["clip"])[12])} for row in apart]
    assert sources.warning(table(kept)) == ""


def test_esc10_sources_are_found_by_name_alone(esc10: Path):
    """Without its column of sources, the warning's pattern finds the 304 that were published."""
    clips = datasets.scan("esc10", esc10)
    blank = clips.table.assign(source="", fold=pd.NA)
    line = sources.warning(blank)
    assert line.startswith(
        "163 of 400 clips seem to come from 67 sources, such as 5-198411 (audio/5-"
    )
    pattern = line.partition("--group-from '")[2].removesuffix("'")
    found = datasets.scan("esc10", esc10, Reading(group_from=pattern)).table["source"]
    published = clips.table["source"]
    assert found.nunique() == published.nunique() == 304
    assert (published.groupby(found).nunique() == 1).all()
    assert sources.warning(clips.table) == ""


def test_groups_reach_check_describe_and_train(tmp_path: Path):
    write(tmp_path, *(name for name, _ in SPEAKERS))
    place = ["--root", str(tmp_path)]
    for command in ("check", "describe"):
        with pytest.warns(
            UserWarning, match=r"36 of 36 clips seem to come from 6 sources, such as spk0"
        ):
            plain, _ = run("data", command, "folders", *place)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept, line = run("data", command, "folders", *place, "--group-from", "(spk[0-9]+)")
        assert line == ""
        assert plain != kept
    assert "sources  6" in kept
    words = ["train", "--dry-run", *place, "sound.dataset=folders", "split.protocol=made_folds"]
    words += ["split.folds=9", "split.train_devices=", "split.fold=1"]
    assert run(*words)[1] == ""
    line = run(*words, "--group-from", "(spk[0-9]+)")[1]
    assert line.startswith("split.folds=9: all clips come from 6 sources or speakers")


def test_named_groups_are_columns():
    found = own(
        ("a/mic1_kim.wav", "a"), ("a/mic2_kim.wav", "a"), ("b/mic1_jo.wav", "b"), ("b/jo.wav", "b")
    )
    clips = Clips("x", Path(), found, lambda path: None)  # type: ignore[arg-type, return-value]
    made = grouped(clips, r"/(?:(?P<device>mic[0-9])_)?(?P<speaker>[a-z]+)\.wav$").table
    assert made["device"].tolist() == ["mic1", "mic2", "mic1", ""]
    assert made["speaker"].tolist() == ["kim", "kim", "jo", "jo"]
    assert digest(made) != digest(found)
    with pytest.raises(
        ValueError, match=r"^--group-from .*: it is not found in 1 of 4 clips .b/jo"
    ):
        grouped(clips, "(mic[0-9])")
    with pytest.raises(
        ValueError, match=r"^--group-from .*: each of the 4 clips has a source of its own"
    ):
        grouped(clips, "^(.*)$")
    with pytest.raises(ValueError, match="device='all' in row 1"):
        grouped(
            Clips("x", Path(), own(("all/x", "a"), ("all/y", "a")), clips.decode), "(?P<device>all)"
        )


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("(a", r"\(missing \), unterminated subpattern at character 1\)"),
        ("a", "it has no group: put what clips share in parentheses"),
        (r"(a)\1", r"\(patterns are RE2's: neither look-around nor back-references\)"),
        ("(?P<who>a)", "group who is none of source, speaker, device"),
        ("(a{5000})", "invalid repetition size"),
        ("(((a{999}){999}){999})", "invalid repetition size|too large"),
        (
            "(" * 60 + "a" + ")" * 90,
            "not a regular expression .unbalanced parenthesis at character 122",
        ),
        ("x" * 300, "300 characters, the limit is 200"),
    ],
)
def test_patterns_refused(pattern: str, line: str):
    with pytest.raises(ValueError, match=line) as error:
        reading(None, pattern)
    assert str(error.value).startswith("--group-from ")
    assert "\n" not in str(error.value)


def test_no_pattern_takes_for_ever():
    """Python's own engine would need 2^60 steps for this one."""
    clips = Clips("x", Path(), own(("a" * 60, "x"), ("a" * 60 + "b", "x")), lambda path: None)  # type: ignore[arg-type, return-value]
    begun = time.monotonic()
    with pytest.raises(ValueError, match="is not found in 2 of 2 clips"):
        grouped(clips, "^(a+)+c$")
    assert time.monotonic() - begun < 1


# What the files hold


def test_describe_says_what_headers_say(tmp_path: Path):
    for name, seconds, rate, channels in (
        ("dog/a.wav", 1.0, 8000, 1), ("dog/b.flac", 3.0, 16_000, 2), ("cat/c.wav", 0.5, 8000, 1)
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros((round(seconds * rate), channels)), rate)
    (tmp_path / "cat/d.wav").write_text("no sound")
    facts = headers.facts(datasets.scan("folders", tmp_path))
    assert facts["seconds"] == {"min": 0.5, "median": 1.0, "max": 3.0}
    assert (facts["rates"], facts["channels"]) == ({"8000": 2, "16000": 1}, {"1": 2, "2": 1})
    assert (facts["unread"], facts["headers"]) == (1, 4)
    assert facts["by_label"]["dog"]["seconds"] == {"min": 1.0, "median": 2.0, "max": 3.0}
    assert facts["by_label"]["cat"] == {
        "clips": 2, "seconds": {"min": 0.5, "median": 0.5, "max": 0.5},
        "rates": {"8000": 1}, "channels": {"1": 1}, "unread": 1,
    }  # fmt: skip
    output, _ = run("data", "describe", "folders", "--root", str(tmp_path))
    assert "seconds  min 0.5, median 1.0, max 3.0" in output
    numbers = "2     1.00      2.00     3.00  8000 Hz, 16000 Hz, 1 ch, 2 ch"
    assert f"{'dog':31}{numbers}" in output
    first = headers.facts(datasets.scan("folders", tmp_path), 2)
    assert first["headers"] == 2
    assert set(first["by_label"]) == {"cat"}
