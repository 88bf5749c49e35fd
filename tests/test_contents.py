"""Data are named by what their files hold: by every byte, wherever and whenever they lie."""

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_store import counted
from typer.testing import CliRunner

from overhear.command import app
from scaling.machine import here
from scaling.receptive_field import runs
from scaling.results import manifest
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound import checksums, contents, datasets, prepare
from scaling.sound.clips import Decoded, from_files
from scaling.sound.packing import pack
from scaling.sound.store import Store

RATE = 16_000


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Twelve WAVs of two classes, each longer than what a look at its ends shows."""
    root, random = tmp_path / "recordings", np.random.default_rng(0)
    for label in "xy":
        (root / label).mkdir(parents=True)
        for number in range(6):
            soundfile.write(root / label / f"{number}.wav", random.normal(0, 0.1, 16_000), RATE)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def packed(root: Path) -> Store:
    return pack(datasets.scan("folders", root), RATE, progress=False)


def edit(path: Path) -> None:
    """Change a byte in the middle; size, ends and, as far as programs can, times stay."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_files_changed_in_the_middle_are_other_data(recordings: Path, cache: Path):
    """Even where their times were set back."""
    before = packed(recordings)
    waves = before.batch(np.arange(12), 16_000)
    for path in recordings.rglob("*.wav"):
        edit(path)
    after = packed(recordings)
    assert after.digest != before.digest
    assert (after.batch(np.arange(12), 16_000) != waves).any(dim=1).all()


def test_other_files_in_a_fresh_cache_have_another_digest(
    recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    before = packed(recordings)
    edit(recordings / "x" / "3.wav")
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "fresh"))
    assert packed(recordings).digest != before.digest


def test_a_copy_of_the_data_is_the_same_data(
    recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """At another place, with other times, on a machine that has packed nothing yet."""
    before = packed(recordings)
    shutil.copytree(recordings, tmp_path / "copy", copy_function=shutil.copy)
    mine, decoded = counted(datasets.scan("folders", tmp_path / "copy"))
    assert pack(mine, RATE, progress=False).folder == before.folder
    assert decoded == [], "it was packed already"
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "elsewhere"))
    assert packed(tmp_path / "copy").digest == before.digest


def test_files_that_were_only_touched_are_read_but_not_decoded(recordings: Path, cache: Path):
    before = packed(recordings)
    for path in recordings.rglob("*.wav"):
        os.utime(path, (1, 1))
    mine, decoded = counted(datasets.scan("folders", recordings))
    assert pack(mine, RATE, progress=False).folder == before.folder
    assert decoded == []


def test_only_files_that_were_touched_are_read(
    recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    packed(recordings)
    os.utime(recordings / "y" / "2.wav", (1, 1))
    read, whole = [], contents.read_file

    def noted(path: Path) -> contents.Read:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(contents, "read_file", noted)
    packed(recordings)
    packed(recordings)
    assert read == [recordings / "y" / "2.wav"]


def test_a_damaged_note_is_made_again(recordings: Path, cache: Path):
    """A note that was edited names no store: what it says is not believed."""
    before = packed(recordings)
    (note,) = cache.glob("contents-*.json")
    for spoilt in (note.read_bytes().replace(b"a", b"b"), b"{", b"[]", b'{"files": 3}', b""):
        note.write_bytes(spoilt)
        assert packed(recordings).folder == before.folder


def test_a_file_that_changes_while_it_is_packed_is_not_packed(recordings: Path, cache: Path):
    clips = datasets.scan("folders", recordings)

    def decode(path: Path) -> Decoded:
        if path.name == "3.wav":
            edit(path)
        return clips.decode(path)

    with pytest.raises(ValueError, match=r"^2 of 12 clips .* x/3\.wav: it changed while it was"):
        pack(replace(clips, decode=decode), RATE, progress=False)


def test_clips_without_files_keep_their_digest(cache: Path):
    """Nothing is read to name them, and no old record of theirs is of other data."""
    clips = datasets.scan("synthetic")
    few = replace(clips, table=clips.table.iloc[:3].reset_index(drop=True))
    store = pack(few, RATE, progress=False)
    assert store.digest == few.digest == store.glance
    assert list(cache.glob("contents-*")) == []


# Records of earlier versions


@pytest.fixture
def folder_trial(trial: Trial) -> Trial:
    return changed(
        trial,
        {"sound.dataset": "folders", "split.protocol": "made_folds", "split.folds": "2"}
        | {"split.train_devices": "", "training.epochs": "1", "training.warmup": "0"}
        | {"training.batch": "4"},
    )


def launched(trial: Trial, root: Path, where: Path, study: str = "mine") -> str:
    """The digest that the manifest has of the trial after a launch."""
    results = Results(where)
    results.prepare()
    clips = prepare.scan([trial], root)
    stores = prepare.stores([trial], clips)
    planned = manifest.plan(study, [trial], {"folders": clips["folders"].table})
    named = prepare.digests([trial], stores), prepare.glances([trial], stores)
    manifest.record(planned, named[0], results, named[1])
    rows = results.read("manifest").to_pylist()
    (found,) = {row["data_digest"] for row in rows if row["trial"] == trial.id}
    return str(found)


def test_a_results_folder_of_an_earlier_version_goes_on(
    folder_trial: Trial, recordings: Path, cache: Path, tmp_path: Path
):
    """Its digests are of a look at the files; trials that it has keep them, new ones get ours."""
    clips = datasets.scan("folders", recordings)
    planned = manifest.plan("mine", [folder_trial], {"folders": clips.table})
    results = Results(tmp_path / "results")
    results.prepare()
    manifest.record(planned, {folder_trial.id: clips.digest}, results)
    again = launched(folder_trial, recordings, tmp_path / "results", "another study")
    assert again == clips.digest
    other = changed(folder_trial, {"seed": "9"})
    assert launched(other, recordings, tmp_path / "results").startswith("2-")


def test_made_folds_that_keep_copies_together_are_another_split(
    folder_trial: Trial, recordings: Path, cache: Path, tmp_path: Path
):
    """A trial of an earlier version, which tore them apart, is never taken for one of ours."""
    shutil.copy(recordings / "x" / "0.wav", recordings / "x" / "9.wav")
    with pytest.warns(UserWarning, match="hold the same bytes"):
        clips = datasets.scan("folders", recordings)
    planned = manifest.plan("mine", [folder_trial], {"folders": clips.table})
    results = Results(tmp_path / "results")
    results.prepare()
    manifest.record(planned, {folder_trial.id: clips.digest}, results)
    same = pytest.warns(UserWarning, match="hold the same bytes")
    with same, pytest.raises(ValueError, match="on other data"):
        launched(folder_trial, recordings, tmp_path / "results")


@pytest.mark.parametrize("earlier", [True, False])
def test_other_data_are_refused_in_either_form(
    folder_trial: Trial, recordings: Path, cache: Path, tmp_path: Path, earlier: bool
):
    where = tmp_path / "results"
    if earlier:
        clips = datasets.scan("folders", recordings)
        planned = manifest.plan("mine", [folder_trial], {"folders": clips.table})
        Results(where).prepare()
        manifest.record(planned, {folder_trial.id: clips.digest}, Results(where))
        soundfile.write(recordings / "x" / "0.wav", np.ones(50) / 2, RATE)
    else:
        launched(folder_trial, recordings, where)
        edit(recordings / "x" / "0.wav")
    with pytest.raises(ValueError, match=r"has trial .* on other data \(digest .*--out"):
        launched(folder_trial, recordings, where)


def test_maps_of_a_trial_of_an_earlier_version(
    folder_trial: Trial, recordings: Path, cache: Path, tmp_path: Path
):
    clips = prepare.scan([folder_trial], recordings)
    planned = manifest.plan("mine", [folder_trial], {"folders": clips["folders"].table})
    results, machine = Results(tmp_path / "results"), here("cpu", "float32", 1)
    results.prepare()
    manifest.record(planned, {folder_trial.id: clips["folders"].digest}, results)
    (store,) = prepare.stores([folder_trial], clips).values()
    assert [p.error for p in run_trial(folder_trial, store, machine, results)][-1] is None
    wanted = runs.Wanted("test", "feature", None)
    assert [done for _, done in runs.compute(results, [folder_trial], wanted, machine, recordings)]


# What `overhear data check` says


def check(root: Path, *more: str) -> tuple[int, str, str]:
    words = ["data", "check", "folders", "--root", str(root), *more]
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output, str(result.exception or "")


def test_check_names_the_data_as_records_do(recordings: Path, cache: Path):
    glance = datasets.scan("folders", recordings).digest
    assert f"none decoded, digest {glance} (of names" in check(recordings, "--quick")[1]
    store = packed(recordings)
    assert check(recordings)[1] == f"folders: 12 clips, all readable, digest {store.digest}\n"
    quick = f"folders: 12 clips, none decoded, digest {store.digest}\n"
    assert check(recordings, "--quick")[1] == quick
    assert check(recordings, "--quick", "--deep")[2].startswith("--quick reads no file")


def test_check_deep_finds_what_no_time_tells(
    recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """A disk that loses a bit changes no time: two readings with the same times stand for it."""
    store = packed(recordings)
    code, output, _ = check(recordings, "--deep")
    assert (code, output.splitlines()[0]) == (0, f"{store.folder.name}: as it was packed")
    times = {path: checksums.stamp(path) for path in recordings.rglob("*.wav")}
    edit(recordings / "x" / "3.wav")
    monkeypatch.setattr(checksums, "stamp", times.__getitem__)
    assert packed(recordings).digest == store.digest, "as nothing was touched"
    _, _, line = check(recordings, "--deep")
    assert line.startswith("1 files hold other bytes than before, at the same size and times (x/3")
    assert packed(recordings).digest != store.digest


def test_a_large_dataset_is_told_from_its_note(
    recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """An unchanged dataset costs a look at its files' times, whatever its size."""
    packed(recordings)

    def never(*_: object) -> Callable[..., None]:
        raise AssertionError("a file was read")

    monkeypatch.setattr(contents, "sha256", never)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        packed(recordings)


def test_an_unreadable_cache_note_is_no_obstacle(tmp_path: Path, cache: Path):
    """A dataset with a clip that is gone between the scan and the packing says so."""
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 900), RATE)
    clips = from_files("mine", tmp_path, [{"clip": "a.wav", "label": "x"}])
    (tmp_path / "a.wav").unlink()
    with pytest.raises(ValueError, match=r"^1 of 1 clips of mine cannot be read: a\.wav: "):
        pack(clips, RATE, progress=False)


def test_a_cache_that_cannot_be_written_is_read(
    recordings: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same files at another place are read to know them; that is not remembered there."""
    before = packed(recordings)
    shutil.copytree(recordings, tmp_path / "copy")

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(contents, "put", refused)
    assert packed(tmp_path / "copy").folder == before.folder
