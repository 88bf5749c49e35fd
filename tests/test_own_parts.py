"""Parts of a person's own, by `module:Class`: the files of docs/own_parts.md as they are."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
import torch
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.own import parts, sources
from scaling.results.manifest import plan, record
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed, flat, sizes, unflat
from scaling.sound import prepare
from scaling.sound.store import Store
from scaling.training.shape import groups, shape
from sweeps.engine.preflight import Task
from sweeps.launch import Compute
from sweeps.study import find

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/own_parts.md").read_text()
NAMES = ("my_net", "my_study", "my_loss", "my_gain", "my_front", "my_birds")
FILES = dict(zip(NAMES, re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), strict=True))
NET = {"network.kind": "my_net:Net", "network.width": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the page's files; nothing of another test is held."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parts, "_BESIDE", [])
    monkeypatch.delenv(parts.VARIABLE, raising=False)
    forget()
    return tmp_path


def forget() -> None:
    """As a new process, which nobody has told anything."""
    for each in sources.held():
        sources._FINDER.held.pop(each.module)
        for name in [n for n in sys.modules if n.partition(".")[0] == each.module]:
            del sys.modules[name]
    sources._FINDER.modules.clear()


def test_a_network_is_trained_recorded_and_read_back(folder: Path, trial: Trial, store: Store):
    own = changed(
        trial, {**NET, "network.options.hidden": "5", "training.epochs": 1, "training.warmup": 0}
    )
    digest = hashlib.sha256((folder / "my_net.py").read_bytes()).hexdigest()
    assert own.stated()["network"] == {
        "kind": "my_net:Net",
        "width": 3,
        "source": digest,
        "options": ["hidden=5"],
    }
    planned = plan("s", [own], {"synthetic": store.table})
    cost = planned.prices[0].cost
    # 5x5 to 3 channels, 3x3 to 5, 10 classes; normalization and biases beside them
    assert cost.weights == 25 * 3 + 9 * 3 * 5 + 5 * 10
    assert cost.parameters == cost.weights + 3 + 2 * 3 + 5 + 10
    assert cost.macs == 25 * 3 * 14 * 14 + 9 * 3 * 5 * 6 * 6 + 5 * 10
    assert cost.receptive_field is None
    results = Results(folder / "results")
    results.prepare()
    record(planned, {own.id: store.digest}, results)
    *_, last = run_trial(own, store, machine.here("cpu", "float32", 1), results)
    assert last.status == "complete"
    forget()  # what follows reads records only
    (row,) = results.read("manifest").to_pylist()
    assert (row["network.kind"], row["network.source"]) == ("my_net:Net", digest)
    assert unflat(row).id == own.id
    assert changed(unflat(row), {"training.epochs": 1}).id == own.id
    assert not sources.held()


def edit(folder: Path, old: str, new: str, file: str = "my_net.py") -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


def test_identity_is_name_options_and_source(folder: Path, trial: Trial):
    own = changed(trial, NET)
    assert changed(trial, {**NET, "network.options": "hidden=32"}).id == own.id  # its default
    assert changed(own, {"network.options.hidden": 8}).id != own.id
    assert changed(own, {"network.options.hidden": 8}).id == (
        changed(trial, {**NET, "network.options": {"hidden": 8}}).id
    )
    edit(folder, "stride=2", "stride=1")
    edited = changed(trial, NET)
    assert edited.id != own.id
    assert sizes.cost(edited, 10).macs > 3 * 25 * 14 * 14  # what runs is what is hashed
    with pytest.raises(ValueError, match=r"the trial was made of .*: bring that version back"):
        sizes.cost(own, 10)
    back = changed(edited, {"network.kind": "vgg5", "network.width": 4})
    assert "source" not in back.stated()["network"]
    assert "source" not in flat(back) or flat(back)["network.source"] == ""


def test_modules_beside_it_count_and_travel(folder: Path, trial: Trial):
    edit(folder, "from torch import nn", "from torch import nn\n\nimport blocks")
    (folder / "blocks.py").write_text("SIDE = 5\n")
    first = changed(trial, NET)
    assert [path for path, _ in sources.held("my_net")[0].files] == ["blocks.py", "my_net.py"]
    (folder / "blocks.py").write_text("SIDE = 3\n")
    assert changed(trial, NET).id != first.id
    package = folder / "birds" / "nets"
    package.mkdir(parents=True)
    (folder / "birds" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("from birds.nets.small import Net\n")
    (package / "small.py").write_text(FILES["my_net"])
    inner = changed(trial, {**NET, "network.kind": "birds.nets:Net"})
    assert sizes.cost(inner, 10).weights == sizes.cost(changed(trial, NET), 10).weights


def test_no_record_runs_code(folder: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch):
    own = changed(trial, NET)
    forget()
    edit(folder, '"""Two', 'raise SystemExit("run")\n"""Two')
    read = unflat(flat(own))
    assert read.id == own.id
    assert Trial.model_validate(own.stated()).id == own.id
    with pytest.raises(ValueError, match=r"runs only if you say where it lies: OVERHEAR_PARTS="):
        read.network.build(10, torch.Generator(), size=(32, 32))
    monkeypatch.setenv(parts.VARIABLE, str(folder))
    with pytest.raises(ValueError, match="the trial was made of"):  # not imported, but hashed
        read.network.build(10, torch.Generator(), size=(32, 32))
    edit(folder, 'raise SystemExit("run")\n', "")
    assert read.network.build(10, torch.Generator(), size=(32, 32)) is not None


def test_weights_follow_the_seed(folder: Path, trial: Trial):
    network = changed(trial, NET).network

    def weights(seed: int) -> torch.Tensor:
        model = network.build(10, torch.Generator().manual_seed(seed), size=(32, 32))
        return model.state_dict()["net.body.0.weight"]

    state = torch.random.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_export_of_it_takes_any_batch(folder: Path, trial: Trial):
    model = changed(trial, NET).network.build(10, torch.Generator(), size=(32, 32)).eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (torch.zeros(3, 1, 32, 32),), dynamic_shapes=({0: batch},))
    x_BCFN = torch.randn(7, 1, 32, 32)
    torch.testing.assert_close(program.module()(x_BCFN).logits_BY, model(x_BCFN).logits_BY)


def test_a_cut_trial_resumes_to_the_bit(folder: Path, trial: Trial, store: Store, tmp_path: Path):
    """Its dropout draws from torch's own generator, which each epoch seeds."""
    own = changed(trial, {**NET, "network.dropout": 0.5, "training.epochs": 2})
    here, found = machine.here("cpu", "float32", 1), []
    for cut in (False, True):
        results = Results(tmp_path / f"cut{cut}")
        results.prepare()
        if cut:
            next(run_trial(own, store, here, results))
            torch.manual_seed(cut)
        list(run_trial(own, store, here, results))
        found.append(results.get("weights", f"{own.id}.safetensors"))
    assert found[0] == found[1]


def test_masks_cut_it(folder: Path, trial: Trial, store: Store):
    cut = {"pruning.kind": "static", "pruning.target": 100, "training.epochs": 1}
    own = changed(trial, {**NET, **cut, "training.warmup": 0})
    results = Results(folder / "results")
    results.prepare()
    *_, last = run_trial(own, store, machine.here("cpu", "float32", 1), results)
    assert last.status == "complete", last.error
    from scaling.results import weights

    kept = weights.load(own.id, results)
    assert kept is not None
    names = ("body.0", "body.3", "dense")
    assert sum(int(kept[f"network.net.{n}.weight"].count_nonzero()) for n in names) == 100


LSTM = "nn.LSTM(hidden, hidden)"
WRONG = [
    ({}, "class Net", "clas Net", "does not import: SyntaxError: .*line 6.*: mend it"),
    ({}, "from torch", "import nowhere\nfrom torch", "ModuleNotFoundError: .*nowhere.*line 3"),
    ({"network.kind": "my_net:Nett"}, "", "", r"my_net.py has no Nett \(did you mean Net\?\)"),
    ({"network.kind": "my_ne:Net"}, "", "", r"no my_ne.py in .* \(did you mean my_net\?\)"),
    ({"network.options.hiden": 3}, "", "", r"takes no hiden \(did you mean hidden\?\)"),
    ({"network.options.hidden": "x"}, "", "", "network.options.hidden=.x.: .*whole number"),
    ({"network.damping": 0.5}, "", "", "network.damping=0.5 changes nothing: .* takes no damping"),
    ({}, "(hidden, classes)", "(hidden, 3)", r"logits \(2, 3\) .* must put out logits \(2, 10\)"),
    ({}, "(hidden, classes)", "(9, classes)", "fails on features .*: RuntimeError: mat1"),
    ({}, "__init__()", "__init__(); self.x = 1 / 0", "raised ZeroDivisionError"),
    ({}, "nn.Dropout(dropout)",
     "nn.Dropout(dropout); import uuid; "
     "self.n = nn.Parameter(torch.tensor(uuid.uuid4().int % 2**24 * 1.0))",
     "differs when it is constructed twice"),
    ({"pruning.kind": "static", "pruning.target": 9}, "nn.Dropout(dropout)",
     f"nn.Dropout(dropout); self.lstm = {LSTM}", r"weights in lstm \(LSTM\), which masks cannot"),
    ({"transfer.trial": "0123456789ab"}, "", "",
     "transfer.trial=0123456789ab: network.kind=my_net:Net does not state its layers"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "old", "new", "line"), WRONG)
def test_what_is_wrong_is_one_line(
    folder: Path, trial: Trial, store: Store, changes: dict[str, object], old: str, new: str,
    line: str,
):  # fmt: skip
    edit(folder, old, new.replace("torch.tensor", "__import__('torch').tensor"))
    with pytest.raises(ValueError, match=line) as told:
        plan("s", [changed(trial, NET | changes)], {"synthetic": store.table})
    assert "\n" not in str(told.value)


def test_a_file_named_like_another_module_is_refused(folder: Path, trial: Trial):
    (folder / "wave.py").write_text(FILES["my_net"])
    with pytest.raises(ValueError, match=r"the name of another module \(Python's own library\)"):
        changed(trial, {"network.kind": "wave:Net"})


def test_it_trains_beside_no_other(folder: Path, trial: Trial):
    """Whatever it does, it does alone: no group of --stack takes it."""
    trials = [changed(trial, {**NET, "seed": seed}) for seed in (0, 1)]
    assert groups(trials, 16, lambda each: shape(each, 64)) == [[each] for each in trials]


def test_a_settings_class_states_its_layers(folder: Path, trial: Trial):
    text = (ROOT / "docs/extend.md").read_text()
    (example,) = (e for e in re.findall(r"```python\n(.*?)```", text, re.S) if "(Chain)" in e)
    (folder / "three.py").write_text(example)
    own = changed(trial, {"network.kind": "three:Three", "network.width": 2})
    cost = sizes.cost(own, 10)
    assert cost.receptive_field == 22
    assert cost.weights == 9 * (2 + 2 * 4 + 4 * 6) + 60
    assert sizes.layers(own, 10)[-1].name == "dense"


def test_a_study_sweeps_it(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """As a command, from another folder: parts are looked for beside the study."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    ended = subprocess.run(
        [sys.executable, "-m", "overhear", "sweep", str(folder / "my_study.py"), "--dry-run",
         "--json", "--speed", "1"],
        capture_output=True, text=True, check=False, env=environment,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len({row["trial"] for row in rows}) == 12
    assert {row["receptive_field"] for row in rows} == {None}


SWEPT = """
from pathlib import Path
from scaling.settings import Trial, changed
QUESTION, SOURCE = "Do workers get it?", "its own test"
def trials():
    base = Trial.model_validate_json({base!r})
    for width in (2, 3):
        yield changed(base, {parts!r} | {{"network.width": width}})
    if {once}:
        for file in Path(__file__).parent.glob("my_*.py"):
            file.unlink()
"""
MARK = """
import os
from pathlib import Path
Path({place!r}, str(os.getpid())).touch()
"""


def test_workers_without_the_files_run_them(
    folder: Path, trial: Trial, tmp_path_factory: pytest.TempPathFactory
):
    """A real sweep: a network, an objective, an augmentation, whose files are gone before Ray
    starts. The same source again is complete, an edited one is other trials.
    """
    elsewhere, place = (tmp_path_factory.mktemp(name) for name in ("elsewhere", "processes"))
    marked = FILES["my_loss"] + MARK.format(place=str(place))
    own = {**NET, "objective.kind": "my_loss:focal", "augment.transform": "my_gain:gain"}
    own |= {"augment.transform_share": 0.5, "training.epochs": 1, "training.warmup": 0}
    own |= {"sound.classes": ("meadow", "street")}

    def written(loss: str, once: bool) -> str:
        text = SWEPT.format(base=trial.model_dump_json(), parts=own, once=once)
        for name in ("my_net", "my_gain"):
            (folder / f"{name}.py").write_text(FILES[name])
        (folder / "my_loss.py").write_text(loss)
        (folder / "study.py").write_text(text)
        return str(folder / "study.py")

    line = ["sweep", written(marked, once=True), "--out", str(elsewhere / "there")]
    ended = subprocess.run(
        [sys.executable, "-m", "overhear", *line, "--precision", "float32", "--plain"],
        capture_output=True, text=True, check=False, cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 of 2 trials complete" in ended.stdout
    assert not (folder / "my_net.py").exists()
    results = Results(elsewhere / "there")
    assert set(results.read("outcomes")["status"].to_pylist()) == {"complete"}
    assert "focal" in results.read("metrics")["metric"].to_pylist()
    assert len([*place.iterdir()]) > 1, "imported on the driver alone"
    written(marked, once=False)
    again = CliRunner().invoke(app, line)
    assert "2 of 2 trials ended earlier and are skipped" in again.stdout, again.output
    written(marked.replace("gamma * logs", "gamma * 2 * logs"), once=False)
    assert results.ended().isdisjoint(each.id for each in find(line[1]).trials())


PARTS = {
    "objective.kind": "my_loss:focal",
    "objective.options.gamma": 1.5,
    "augment.transform": "my_gain:gain",
    "augment.transform_share": 0.5,
    "evaluation.disagreement": "my_gain:gain",
    "sound.features.kind": "my_front:Bands",
    "sound.features.options.floor": 1e-8,
    "sound.features.range_db": 0,
    "training.epochs": 1,
    "training.warmup": 0,
}


def test_the_other_parts_train_and_count(folder: Path, trial: Trial, store: Store):
    own = changed(trial, PARTS)
    assert own.own == ("my_loss:focal", "my_gain:gain", "my_front:Bands")
    assert own.stated()["objective"]["options"] == ["gamma=1.5"]
    assert unflat(flat(own)).id == own.id
    results = Results(folder / "results")
    results.prepare()
    record(plan("s", [own], {"synthetic": store.table}), {own.id: store.digest}, results)
    *_, last = run_trial(own, store, machine.here("cpu", "float32", 1), results)
    assert last.status == "complete", last.error
    metrics = set(results.read("metrics", [own.id])["metric"].to_pylist())
    assert {"focal", "disagreement"} <= metrics
    for file in ("my_loss", "my_gain", "my_front"):
        (folder / f"{file}.py").write_text(FILES[file] + "\n")
        assert changed(trial, PARTS).id != own.id
    # back to shipped kinds nothing of them is left
    shipped = {"objective.kind": "cross_entropy", "augment.transform": "none",
               "sound.features.kind": "log_mel", "sound.features.range_db": 80,
               "augment.transform_share": 0, "evaluation.disagreement": "none",
               "training.epochs": 3, "training.warmup": 1}  # fmt: skip
    assert changed(own, shipped).id == trial.id


def test_a_dataset(folder: Path, trial: Trial):
    draws = np.random.default_rng(0)
    for number in range(12):
        file = folder / "birds" / ("crow", "finch", "owl")[number % 3] / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        wave = draws.integers(-9000, 9000, 16_000).astype("<i2")
        scipy.io.wavfile.write(file, 16_000, wave)
    own = changed(trial, {"sound.dataset": "my_birds:DATASET", "split.train_devices": ()})
    assert len(prepare.scan([own], folder / "birds")["my_birds:DATASET"].table) == 12
    makes = {"sound.dataset": "my_birds:birds", "sound.options.folds": 3}
    three = changed(own, makes)
    assert three.stated()["sound"]["options"] == ["folds=3"]
    assert unflat(flat(three)).id == three.id != own.id
    both = prepare.scan([three, changed(three, {"sound.options.folds": 4})], folder / "birds")
    assert [set(clips.table["fold"]) for clips in both.values()] == [{1, 2, 3}, {1, 2, 3, 4}]
    assert changed(three, {"sound.options.folds": 2}) == changed(three, {"sound.options": ()})
    assert (
        changed(three, {"sound.dataset": "synthetic"})
        .stated()["sound"]
        .keys()
        .isdisjoint(("options", "source"))
    )
    for name, line in {
        "fold": "takes no fold .did you mean folds",
        "folds": "whole number",
    }.items():
        with pytest.raises(ValueError, match=f"sound.options.{name}.*{line}"):
            changed(own, {"sound.dataset": "my_birds:birds", f"sound.options.{name}": "x"})
    forget()
    with pytest.raises(ValueError, match="runs only if you say where it lies"):
        prepare.scan([own], folder / "birds")
    (folder / "my_birds.py").write_text(FILES["my_birds"].replace('"birds",', '"esc10",'))
    with pytest.raises(ValueError, match="calls itself esc10, as a shipped one does"):
        prepare.scan([changed(trial, {"sound.dataset": "my_birds:DATASET"})], folder / "birds")


AMISS = [
    (
        "my_loss",
        ".mean()\n",
        "\n",
        r"kind=my_loss:focal makes a Tensor \(2,\): a loss is",
    ),
    ("my_gain", "return waves *", "return waves[:, 9:] *", r"must keep shape and type"),
    (
        "my_front",
        "self.mels).t",
        "3).t",
        r"makes \(2, 3, 32\) of .*must make .*\(2, 32, 32\)",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "line"), AMISS)
def test_parts_are_tried_before_anything_trains(
    folder: Path, trial: Trial, store: Store, file: str, old: str, new: str, line: str
):
    edit(folder, old, new, f"{file}.py")
    with pytest.raises(ValueError, match=line):
        plan("s", [changed(trial, PARTS)], {"synthetic": store.table})


def test_an_installed_package_lists_its_parts(
    folder: Path, trial: Trial, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        parts, "entries", lambda group: {"mine": "my_net:Net"} if "networks" in group else {}
    )
    assert changed(trial, {"network.kind": "mine", "network.width": 3}) == changed(trial, NET)


def test_workers_get_the_source_that_the_driver_read(folder: Path, trial: Trial):
    own = changed(trial, NET)
    sent = pickle.dumps(Task({}, "results", 1, Compute(), parts=sources.held()))
    forget()
    (folder / "my_net.py").unlink()  # another machine has none
    read = Trial.model_validate(own.stated())
    with pytest.raises(ValueError, match="runs only if you say where it lies"):
        read.network.build(10, torch.Generator(), size=(32, 32))
    pickle.loads(sent).hold_parts()
    assert read.network.build(10, torch.Generator(), size=(32, 32)) is not None
