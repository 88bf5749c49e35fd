"""The clip table refuses what cannot be right, and a sound file is read whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from scaling.sound.clip_table import COLUMNS, digest, glance, some, table
from scaling.sound.clips import decode_file, fingerprint, from_files

# pandas 3 says so of the option that makes it behave as pandas 2 does
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string'")

ROWS: list[dict[str, object]] = [
    {"clip": "b.wav", "label": "dog", "fold": 2, "device": "a", "source": "7"},
    {"clip": "a.wav", "label": "rain", "fold": None},
    {"clip": "c/d.wav", "label": "dog", "fold": 1, "size": 44, "fingerprint": "00ff"},
]


READ = [row | {"size": 44, "content": f"{n:064}"} for n, row in enumerate(ROWS)]


@pytest.fixture(params=[True, False], ids=["new strings", "object strings"])
def _strings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Text columns as pandas 3 makes them, and as pandas 2 does."""
    with pd.option_context("future.infer_string", request.param):
        yield


def tone(seconds: float = 0.5, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    time_T = np.arange(round(seconds * rate)) / rate
    pitches = 440 * np.arange(1, channels + 1)
    return 0.5 * np.sin(2 * np.pi * pitches * time_T[:, None])


@pytest.mark.usefixtures("_strings")
def test_table_has_one_form():
    made = table(ROWS)
    assert list(made) == list(COLUMNS)
    assert made["clip"].tolist() == ["b.wav", "a.wav", "c/d.wav"]
    assert made["fold"].dtype == made["size"].dtype == "Int64"
    assert made["fold"].isna().tolist() == [False, True, False]
    assert made["device"].tolist() == ["a", "", ""]
    assert made["city"].tolist() == ["", "", ""]
    pd.testing.assert_frame_equal(table(made), made)
    pd.testing.assert_frame_equal(table(pd.DataFrame(ROWS)), made)


@pytest.mark.usefixtures("_strings")
def test_digest_never_changes():
    """Stores and manifests are named by it; those of earlier versions by a glance."""
    assert glance(table(ROWS)) == "684c3fed30bf3202"
    assert digest(table(READ)) == "2-12be0ffc4096f4ef"


@pytest.mark.parametrize("column", COLUMNS)
def test_digest_knows_every_column(column: str):
    changed = [dict(row) for row in READ]
    changed[1][column] = "5" if COLUMNS[column][0] == "Int64" else "other"
    seen = (digest(table(changed)), glance(table(changed)))
    before = (digest(table(READ)), glance(table(READ)))
    assert (seen[0] != before[0]) == (column != "fingerprint"), "what was read says more"
    assert (seen[1] != before[1]) == (column != "content"), "a glance reads nothing"


def test_clips_without_files_are_named_by_their_table():
    made = table([{"clip": "a", "label": "x", "fingerprint": "version 1"}])
    assert digest(made) == glance(made)


@pytest.mark.parametrize("fold", [3, 3.0, "3", np.int64(3), np.float64(3)])
def test_folds_in_any_spelling(fold: object):
    assert table([{"clip": "a", "label": "x", "fold": fold}])["fold"].tolist() == [3]


@pytest.mark.parametrize("fold", [None, "", float("nan"), pd.NA])
def test_folds_unknown(fold: object):
    assert table([{"clip": "a", "label": "x", "fold": fold}])["fold"].isna().all()


@pytest.mark.parametrize("fold", ["one", 1.5, -1, "nan", float("inf"), [1]])
def test_folds_refused(fold: object):
    good: dict[str, object] = {"clip": "a", "label": "x"}
    rows = [good, {"clip": "b", "label": "x", "fold": fold}]
    with pytest.raises(ValueError, match=r"^fold=.* in row 2: a fold is a whole number from 0"):
        table(rows)


@pytest.mark.usefixtures("_strings")
@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([], "no clips found: the table has no rows"),
        ([*ROWS, ROWS[0]], r"clip b\.wav is listed 2 times, in rows 1, 4"),
        ([*ROWS, {"clip": "e"}], r"row 4 \(clip e\) has no label"),
        ([{"clip": "e", "label": " "}, *ROWS], r"row 1 \(clip e\) has no label"),
        ([*ROWS, {"clip": "e", "label": float("nan")}], r"row 4 \(clip e\) has no label"),
        ([*ROWS, {"label": "dog"}, {"label": "dog"}], "row 4 has no clip; such rows: 2"),
    ],
)
def test_table_refuses(rows: list[dict[str, object]], line: str):
    with pytest.raises(ValueError, match=line) as error:
        table(rows)
    assert "\n" not in str(error.value)


def test_fingerprint_is_of_both_ends(tmp_path: Path):
    content = bytes(range(256)) * 100
    path = tmp_path / "x"
    path.write_bytes(content)
    ends = content[:4096] + content[-4096:]
    assert fingerprint(path) == (25_600, hashlib.sha256(ends).hexdigest()[:16])
    for at in (0, -1):
        other = bytearray(content)
        other[at] ^= 1
        path.write_bytes(other)
        assert fingerprint(path)[1] != hashlib.sha256(ends).hexdigest()[:16]
    path.write_bytes(b"short")
    assert fingerprint(path) == (5, hashlib.sha256(b"short" * 2).hexdigest()[:16])


def test_files_are_identified_wherever_they_lie(tmp_path: Path):
    digests = set()
    for place in ("here", "there"):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "a").write_bytes(b"1234")
        clips = from_files("mine", folder, [{"clip": "a", "label": "x"}])
        assert clips.table["size"].tolist() == [4]
        digests.add(clips.digest)
    assert len(digests) == 1
    (folder / "a").write_bytes(b"1235")
    assert from_files("mine", folder, [{"clip": "a", "label": "x"}]).digest not in digests


def test_absent_files_are_told_all_at_once(tmp_path: Path):
    (tmp_path / "3").write_bytes(b"x")
    rows = [{"clip": str(n), "label": "x"} for n in range(9)]
    with pytest.raises(ValueError, match=r"8 of 9 clips cannot be opened below .*: 0 \(No such"):
        from_files("mine", tmp_path, rows)
    with pytest.raises(ValueError, match=r"5 \(No such file or directory\) and 3 more$"):
        from_files("mine", tmp_path, rows)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "link.wav"):
        line = rf"^1 of 1 clips cannot be opened below .*: {name} \(it is no regular file, but a f"
        with pytest.raises(ValueError, match=line):
            from_files("mine", tmp_path, [{"clip": name, "label": "x"}])


def test_some_counts_what_it_does_not_name():
    assert some("abcde") == "a, b, c, d, e"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("x.wav", "PCM_16", 1e-4),
        ("x.wav", "PCM_24", 1e-6),
        ("x.wav", "FLOAT", 1e-7),
        ("x.wav", "PCM_U8", 1e-2),
        ("x.flac", "PCM_24", 1e-6),
        ("x.ogg", "VORBIS", 0.1),
        ("x.mp3", "MPEG_LAYER_III", 0.6),
        ("x.aiff", "PCM_16", 1e-4),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_files_are_read_as_they_are(
    tmp_path: Path, name: str, subtype: str, tolerance: float, channels: int
):
    wave = tone(rate=22_050, channels=channels)
    soundfile.write(tmp_path / name, wave, 22_050, subtype=subtype)
    samples, rate = decode_file(tmp_path / name)
    assert (samples.shape, samples.dtype.name, rate) == (wave.shape, "float32", 22_050)
    assert np.abs(samples - wave).max() < tolerance


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
def test_cut_off_files_are_never_taken_for_whole(tmp_path: Path, name: str):
    whole, cut = tmp_path / name, tmp_path / f"cut-{name}"
    noise = np.random.default_rng(0).normal(0, 0.1, (50_000, 2))  # fills many Ogg pages
    soundfile.write(whole, noise, 16_000)
    content = whole.read_bytes()
    for kept in np.linspace(0, len(content) - 2, 40).astype(int):
        cut.write_bytes(content[:kept])
        with pytest.raises(ValueError, match=r"^[a-z]") as error:
            decode_file(cut)
        assert len(str(error.value)) < 100
        assert "\n" not in str(error.value)


def test_a_wav_written_into_a_pipe_is_whole(tmp_path: Path):
    """It announces 4 GiB, since its writer could not know its length."""
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16_000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff" * 4
    path.write_bytes(content)
    assert len(decode_file(path).samples) == 8000


def test_an_odd_chunk_before_the_samples_is_stepped_over(tmp_path: Path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), 16_000)
    content = path.read_bytes()
    at = content.index(b"data")
    note = b"note" + (3).to_bytes(4, "little") + b"abc\0"
    path.write_bytes(content[:at] + note + content[at:])
    assert len(decode_file(path).samples) == 8000
    path.write_bytes((content[:at] + note + content[at:])[:-100])
    with pytest.raises(ValueError, match="cut off: its last 100 bytes are missing"):
        decode_file(path)


def test_broken_files_are_refused_with_the_reason(tmp_path: Path):
    path = tmp_path / "x.wav"
    with pytest.raises(ValueError, match="no such file"):
        decode_file(path)
    path.write_text("this is a text, renamed")
    with pytest.raises(ValueError, match="format not recognised"):
        decode_file(path)
    soundfile.write(path, np.zeros((0, 1)), 16_000)
    with pytest.raises(ValueError, match="empty: it holds no samples"):
        decode_file(path)
    for value in (np.nan, np.inf):
        wave = tone()
        wave[100] = value
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
        with pytest.raises(ValueError, match="not finite"):
            decode_file(path)
    raw = tmp_path / "x.raw"
    raw.write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="raw samples without a header"):
        decode_file(raw)
