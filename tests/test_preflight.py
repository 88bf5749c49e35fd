"""What a node must have, without a cluster: each lack in one line, and the packed clips by their
digest.
"""

import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from scaling.results.records import HIDDEN, Refused, Results
from scaling.settings import Trial, changed
from scaling.sound import datasets, prepare
from scaling.sound.packing import pack
from scaling.sound.store import Store
from sweeps.engine import cluster, limits, preflight
from sweeps.engine.preflight import Facts, Task, Unfit
from sweeps.launch import Compute, Resources


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Six tiny recordings of two classes, as a person sorts them into folders."""
    root = tmp_path / "recordings"
    random = np.random.default_rng(0)
    for label in "xy":
        (root / label).mkdir(parents=True)
        for number in range(3):
            wave_T = random.normal(0, 0.1, 4000)
            soundfile.write(root / label / f"{number}.wav", wave_T, 16_000)
    return root


@pytest.fixture
def sorted_trial(trial: Trial) -> Trial:
    return changed(trial, {"sound.dataset": "folders"})


@pytest.fixture
def driver_folder(recordings: Path, tmp_path: Path) -> Path:
    """What the driver packed, in its own cache."""
    clips = datasets.scan("folders", recordings)
    return pack(clips, 16_000, cache=tmp_path / "driver", progress=False).folder


@pytest.fixture
def other_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process stands for a node with a cache of its own, which is empty."""
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "node"))
    monkeypatch.delenv("OVERHEAR_DATA", raising=False)
    return tmp_path / "node"


def unseen(folder: Path) -> Path:
    """The same folder as named on a machine whose disk is not seen here."""
    return Path("/on/another/machine") / folder.name


def ask(folder: Path, results: Path, **more: Any) -> Task:
    return Task({"folders@16000": str(folder)}, str(results), 1, Compute("cpu", "float32"), **more)


def test_a_store_is_found_by_its_digest(driver_folder: Path, other_node: Path):
    assert prepare.found(unseen(driver_folder)) is None
    here = prepare.found(driver_folder)
    assert here is not None
    assert here.folder == driver_folder
    shutil.copytree(driver_folder, other_node / driver_folder.name)
    copied = prepare.found(unseen(driver_folder))
    assert copied is not None
    assert copied.folder == other_node / driver_folder.name
    assert copied.digest == here.digest


def test_a_store_under_another_ones_name_is_not_taken_for_it(driver_folder: Path, other_node: Path):
    name = f"{'0' * 16}-16000"
    shutil.copytree(driver_folder, other_node / name)
    assert prepare.found(unseen(driver_folder.with_name(name))) is None


def test_a_node_packs_once(
    sorted_trial: Trial,
    recordings: Path,
    driver_folder: Path,
    other_node: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Four workers want it at the same time: one packs, and all get the driver's clips."""
    packed, opened = [], []

    def counted(*words: Any, **more: Any) -> Store:
        packed.append(threading.get_ident())
        return pack(*words, **more)

    def worker() -> None:
        opened.append(prepare.reopened(sorted_trial, unseen(driver_folder), str(recordings)))

    monkeypatch.setattr(prepare, "pack", counted)
    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(packed) == 1
    assert [store.folder for store in opened] == [other_node / driver_folder.name] * 4
    assert (opened[0].table == Store.open(driver_folder).table).all(axis=None)


def test_what_the_driver_packed_is_opened_where_it_is_seen(
    sorted_trial: Trial, driver_folder: Path, other_node: Path, tmp_path: Path
):
    """Neither data nor cache are looked for, nor is the results folder."""
    store = preflight.ready(sorted_trial, ask(driver_folder, tmp_path / "none"))
    assert store.folder == driver_folder
    assert not other_node.exists()


def test_the_copies_and_rooms_that_a_trial_needs_are_made_too(
    sorted_trial: Trial, recordings: Path, driver_folder: Path, other_node: Path
):
    changes = {"augment.transform": "pitch", "augment.transform_share": 0.5}
    shifted = changed(sorted_trial, changes)
    prepare.reopened(shifted, unseen(driver_folder), str(recordings))
    assert (other_node / f"{driver_folder.name}-pitched-v1" / "store.json").exists()


def test_data_that_are_not_there(sorted_trial: Trial, driver_folder: Path, other_node: Path):
    with pytest.raises(ValueError, match="--root /none is not there, and folders has no default"):
        prepare.reopened(sorted_trial, unseen(driver_folder), "/none")
    esc10 = changed(sorted_trial, {"sound.dataset": "esc10"})
    with pytest.raises(ValueError, match=r"\(" + str(other_node) + r"\).*: esc10 not found at"):
        prepare.reopened(esc10, unseen(driver_folder))


def test_a_node_is_asked_by_a_look_and_told_by_every_byte(
    sorted_trial: Trial, recordings: Path, tmp_path: Path, other_node: Path
):
    """Before the first trial no file is read; what is packed is compared by all that was read."""
    path = recordings / "x" / "0.wav"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 16_000), 16_000)
    clips = datasets.scan("folders", recordings)
    store = pack(clips, 16_000, cache=tmp_path / "driver", progress=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    gone, root = unseen(store.folder), str(recordings)
    prepare.behind(sorted_trial, gone, root, glance=store.glance)
    assert not other_node.exists()
    for glance in (store.glance, ""):
        line = rf"holds other clips .* \(digest 2-.* planned with \({store.digest}\)"
        with pytest.raises(ValueError, match=line):
            prepare.reopened(sorted_trial, gone, root, glance=glance)


@pytest.mark.parametrize("skip", [False, True])
def test_other_data(
    sorted_trial: Trial, recordings: Path, driver_folder: Path, other_node: Path, skip: bool
):
    (recordings / "x" / "0.wav").unlink()
    with pytest.raises(ValueError, match=r"holds other clips of folders .*: copy the same files"):
        prepare.reopened(sorted_trial, unseen(driver_folder), str(recordings), skip)
    decoded = any(path.is_dir() for path in other_node.iterdir())
    assert decoded == skip, "only where clips may be unreadable they must be decoded to know"


def test_unreadable_clips_are_left_out_alike(
    sorted_trial: Trial, recordings: Path, tmp_path: Path, other_node: Path
):
    (recordings / "x" / "0.wav").write_bytes(b"no sound")
    clips = datasets.scan("folders", recordings)
    with pytest.warns(UserWarning, match="left out"):
        store = pack(clips, 16_000, cache=tmp_path / "d", skip_unreadable=True, progress=False)
    with pytest.warns(UserWarning, match="left out"):
        again = prepare.reopened(sorted_trial, unseen(store.folder), str(recordings), True)
    assert again.digest == store.digest
    assert len(again.table) == 5


def test_the_mark_lies_in_the_results_folder_while_the_sweep_lasts(trial: Trial, tmp_path: Path):
    with preflight.driver([trial], str(tmp_path)) as driver:
        assert [path.name for path in tmp_path.iterdir()] == [driver.mark]
    assert list(tmp_path.iterdir()) == []
    sweeping = preflight.driver([trial], str(tmp_path))
    sweeping.__enter__()
    sweeping.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_has_all(sorted_trial: Trial, driver_folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    with preflight.driver([sorted_trial], str(out)) as driver:
        task = ask(driver_folder, out, driver=driver)
        facts = preflight.look([sorted_trial], task)
        assert facts.lacks == []
        assert (out / facts.wrote).exists()
        assert preflight.complaints({"n": facts}, Results(out)) == []
        assert not (out / facts.wrote).exists()
        assert preflight.ready(sorted_trial, task).folder == driver_folder
        assert len(pickle.dumps(task)) < 2000


def both(trial: Trial, task: Task, match: str) -> None:
    """Both who look before the first trial, and who is about to run one, say the same."""
    (lack,) = preflight.look([trial], task).lacks
    with pytest.raises(Unfit) as said:
        preflight.ready(trial, task)
    assert str(said.value) == lack
    assert match in lack
    assert "\n" not in lack


def test_other_versions(sorted_trial: Trial, driver_folder: Path, tmp_path: Path):
    with preflight.driver([sorted_trial], str(tmp_path)) as driver:
        assert {"Python", "ray", "torch", "code of Overhear"} <= driver.versions.keys()
        other = driver._replace(versions=driver.versions | {"torch": "1.0"})
        task = ask(driver_folder, tmp_path, driver=other)
        torch = driver.versions["torch"]
        both(sorted_trial, task, f"it has torch {torch}, the driver 1.0: install the same")


def test_a_results_folder_that_is_not_shared(
    sorted_trial: Trial, driver_folder: Path, tmp_path: Path
):
    with preflight.driver([sorted_trial], str(tmp_path / "shared")) as driver:
        task = ask(driver_folder, tmp_path / "own", driver=driver)
        both(sorted_trial, task, f"results folder {tmp_path}/own is not visible there: mount one")


def test_a_results_folder_that_cannot_be_written(
    sorted_trial: Trial, driver_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise Refused("results folder a cannot be written (No space left on device): free some")

    with preflight.driver([sorted_trial], str(tmp_path)) as driver:
        task = ask(driver_folder, tmp_path, driver=driver)
        monkeypatch.setattr(Results, "put", full)
        facts = preflight.look([sorted_trial], task)
    assert facts.wrote == ""
    (lack,) = facts.lacks
    assert lack.startswith("results folder a cannot be written (No space")


def test_lacking_data(sorted_trial: Trial, driver_folder: Path, other_node: Path, tmp_path: Path):
    with preflight.driver([sorted_trial], str(tmp_path)) as driver:
        task = ask(unseen(driver_folder), tmp_path, driver=driver)
        both(sorted_trial, task, "OVERHEAR_DATA and OVERHEAR_CACHE that its `ray start` had")


def test_other_microphones(
    sorted_trial: Trial, driver_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    heard = changed(sorted_trial, {"microphones.test": ("old",), "split.train_devices": ()})
    for where in ("driver", "other"):
        (tmp_path / where / "MicIRP").mkdir(parents=True)
        soundfile.write(tmp_path / where / "MicIRP" / "old.wav", np.ones(9) / len(where), 16_000)
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "driver"))
    with preflight.driver([heard], str(tmp_path)) as driver:
        task = ask(driver_folder, tmp_path, driver=driver)
        assert preflight.look([heard], task).lacks == []
        (tmp_path / "driver" / "MicIRP" / "old.wav").write_bytes(b"another")
        both(heard, task, "its microphones old of MicIRP are not the driver's files (digest")
        monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "nowhere"))
        both(heard, task, "microphones.responses=MicIRP not found at")


def test_complaints_name_the_node(tmp_path: Path):
    fine = Facts([], f"{HIDDEN}a", "token")
    results = Results(tmp_path)
    results.put(b"", f"{HIDDEN}a")
    found: dict[str, Facts | str] = {
        "good": fine,
        "silent": "nothing within 120 s",
        "apart": Facts([], f"{HIDDEN}b", "token"),
        "open": Facts(["it has torch 1.0"], "", "disabled"),
    }
    lines = preflight.complaints(found, results)
    assert lines[0] == "node silent does not answer: nothing within 120 s"
    assert lines[1].startswith("node apart: what it writes to results folder")
    assert lines[2] == "node open: it has torch 1.0"
    assert lines[3].startswith("node open: its Ray was started with RAY_AUTH_MODE=disabled, that")
    assert "node good with token" in lines[3]
    assert len(lines) == 4
    assert preflight.complaints({"open": Facts([], "", "disabled")}, results) == []
    (line,) = preflight.complaints({"open": Facts([], "", "disabled")}, results, "token")
    assert "that of the driver with token" in line


def test_nodes_are_asked_once_for_what_many_trials_read(trial: Trial):
    trials = [changed(trial, {"seed": seed}) for seed in range(5)]
    heard = changed(trial, {"microphones.test": ("old",), "split.train_devices": ()})
    assert preflight.distinct([*trials, heard]) == [trials[0], heard]


def node(name: str, **resources: float) -> dict[str, Any]:
    described = {"NodeName": name, "NodeManagerAddress": "10.0.0.1", "NodeID": 56 * "f"}
    return described | {"NodeManagerHostname": "host", "Alive": True, "Resources": resources}


def test_the_largest_trial_must_fit_a_node(monkeypatch: pytest.MonkeyPatch):
    nodes = [node("small", CPU=2), node("gpu", CPU=4, GPU=1)]
    monkeypatch.setattr(cluster, "nodes", lambda: nodes)
    assert cluster.slots(Resources(cpus=2)) == 3
    assert cluster.slots(Resources(cpus=2, concurrent=2)) == 2
    assert cluster.slots(Resources(cpus=1, gpus=0.25)) == 4
    with pytest.raises(ValueError, match=r"--cpus-per-trial 8: .* has 4 CPUs: .*\(it is gpu \(10"):
        cluster.slots(Resources(cpus=8))
    nodes.append(node("large", CPU=16))
    with pytest.raises(ValueError, match=r"no node has 8 CPUs and 1 GPU together, .*: ask"):
        cluster.slots(Resources(cpus=8, gpus=1))


def test_the_memory_of_a_trial_is_part_of_its_node(monkeypatch: pytest.MonkeyPatch):
    """It bounds how many run at once, and what fits, alone and with the rest."""
    nodes = [node("small", CPU=8, memory=8 * 2**30), node("gpu", CPU=4, GPU=1, memory=4 * 2**30)]
    monkeypatch.setattr(cluster, "nodes", lambda: nodes)
    assert cluster.slots(Resources(memory=2**30)) == 12
    assert cluster.slots(Resources(memory=3 * 2**30)) == 3
    assert cluster.slots(Resources(gpus=0.25, memory=3 * 2**30)) == 1
    with pytest.raises(ValueError, match=r"--memory-per-trial 9 GiB: .* has 8 GiB of memory: "):
        cluster.slots(Resources(memory=9 * 2**30))
    with pytest.raises(ValueError, match=r"no node has 1 CPU and 1 GPU and 8 GiB of memory"):
        cluster.slots(Resources(gpus=1, memory=2**33))


@pytest.mark.parametrize(("started", "on"), [(None, True), ("250", True), ("0", False)])
def test_a_worker_knows_whether_ray_watches_the_memory(started: str | None, on: bool):
    """By what its Ray was started with, not by what it was itself."""
    here = f"import sys; sys.path.insert(0, {str(Path(cluster.__file__).parents[2])!r}); "
    asks = f"{here}from sweeps.engine import limits; print(limits.monitored())"
    starts = "import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', " + (
        f"{asks!r}], env={{{limits.MONITOR!r}: '0'}}, text=True))"
    )
    environment = {limits.MONITOR: started} if started else {}
    said = subprocess.check_output([sys.executable, "-c", starts], env=environment, text=True)
    assert said.strip() == str(on)


def test_a_head_that_runs_no_trials_has_nodes_to_come(monkeypatch: pytest.MonkeyPatch):
    head = node("10.0.0.1") | {"Resources": {"node:__internal_head__": 1.0}}
    monkeypatch.setattr(cluster, "nodes", lambda: [head])
    with pytest.warns(UserWarning, match="no node has room for a trial yet: waiting"):
        assert cluster.slots(Resources(cpus=4, gpus=1)) == 1
    assert cluster.label(head) == "host (10.0.0.1, ffffffff)"


def test_a_worker_computes_as_the_launch_asks():
    there = preflight.machine_of(Task({}, "r", 1, Compute("cpu", "float32", "torchaudio")))
    assert (there.name, there.precision_name, there.frontend) == ("cpu", "float32", "torchaudio")
