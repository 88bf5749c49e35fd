"""Files of a person's that have the names of packages: what is imported, and what is said."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_sweep import alone, by_epoch, study

from scaling.results.records import Results
from scaling.settings import Trial, changed
from sweeps.engine import group, limits, preflight
from sweeps.engine.preflight import Task
from sweeps.launch import Compute, Recordings

COMMAND = Path(sys.executable).with_name("overhear")  # not -m, which looks into the working folder


@pytest.mark.parametrize("name", ["analysis", "scaling", "sweeps"])
@pytest.mark.parametrize("package", [False, True])
def test_a_file_that_hides_a_package_of_ours_is_named(name: str, package: bool, tmp_path: Path):
    path = tmp_path / name / "__init__.py" if package else tmp_path / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    line = [sys.executable, "-m", "overhear", "studies"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(line, env=env, capture_output=True, text=True, cwd="/", timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"overhear: {path} hides Overhear's own package {name}: rename that file, or take its "
        "folder out of PYTHONPATH\n"
    )


@pytest.mark.skipif(not COMMAND.exists(), reason="Overhear is not installed beside this Python")
def test_packages_win_over_files_of_the_working_folder_and_a_helper_is_found(
    trial: Trial, tmp_path: Path
):
    """The driver, and Ray's workers, which by themselves look into that folder first."""
    for name in ("scaling", "sweeps", "analysis", "torch", "numpy", "colorsys"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "mine").mkdir()
    path, trials = study(tmp_path / "mine", trial, [{}])
    (tmp_path / "mine" / "helper.py").write_text("QUESTION = 'Is it found?'")
    (tmp_path / "mine" / "torch.py").write_text("raise SystemExit('the wrong one')")
    Path(path).write_text(Path(path).read_text() + "\nfrom helper import QUESTION\n")
    words = "sweep", path, "--out", "out", "--precision", "float32"
    line = [str(COMMAND), *words]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 of 1 trials complete" in ended.stdout
    assert by_epoch(tmp_path / "out") == alone(trials, tmp_path / "alone")


def test_what_a_trials_setup_raises_is_its_failure(trial: Trial, tmp_path: Path):
    """In its worker: a device that is not there, packed clips that are gone; on a cluster the first
    is what the node lacks.
    """
    stores, out = {"fsdd@16000": str(tmp_path / "none")}, str(tmp_path / "out")
    task = Task(stores, out, 1, Compute("cuda:99"), Recordings(str(tmp_path)))
    recorded = changed(trial, {"sound.dataset": "fsdd"})
    (told,) = group.attempt([recorded], task, limits.Limit())
    assert (told.status, told.epoch) == ("failed", 0)
    assert told.error is not None
    assert "are not in its cache" in told.error
    (row,) = Results(tmp_path / "out").read("outcomes", [recorded.id]).to_pylist()
    assert (row["status"], row["error"]) == ("failed", told.error)
    with pytest.raises(ValueError, match="cuda:99"):
        preflight.machine_of(task)
    driver = preflight.Reference("mark", {}, {})
    with pytest.raises(preflight.Unfit, match="cuda:99"):
        preflight.machine_of(replace(task, driver=driver))
