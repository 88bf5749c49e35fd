"""Exported models: their front ends, their files, their cards; what cannot be exported is named."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import soxr
import torch
from test_model import ended
from torch import nn
from typer import BadParameter
from typer.testing import CliRunner

from overhear import command
from scaling import machine, optional
from scaling.results.records import Results
from scaling.settings import Features, changed
from scaling.settings.recipes import RECIPES
from scaling.shipping import agreement, card, export, model, whole, windows
from scaling.shipping.predict import predict
from scaling.shipping.script import script
from scaling.shipping.ship import destination
from scaling.shipping.waveform import exportable
from scaling.sound import frontends
from scaling.sound.store import Store

RATE = 16_000
BANDS = {"window": 512, "hop": 200, "mels": 40}
LOUD = {"range_db": 80, **BANDS}
# how far decibels (of vggish natural logarithms) may be apart, at most and on average
FRONTS = {
    "perceptual": (Features(kind="perceptual", **LOUD), 5e-3, 1e-5),
    "no_floor": (Features(kind="perceptual", **BANDS), 0.2, 1e-4),
    "log_mel": (Features(kind="log_mel", **LOUD), 5e-3, 1e-5),
    "prime": (Features(kind="log_mel", window=401, hop=100, mels=33, range_db=60), 5e-3, 1e-5),
    "gammatone": (Features(kind="gammatone", low=60, **BANDS), 5e-3, 1e-5),
    "vggish": (Features(kind="vggish", window=400, hop=160, mels=64, low=125), 1e-5, 1e-6),
    "passt": (Features(kind="passt", fft=1024, preemphasis=0.97, **BANDS), 1e-3, 1e-5),
    "vqt": (Features(kind="vqt", hop=256, mels=36, low=200, gamma=20, range_db=80), 5e-3, 1e-4),
    "learnt_bands": (
        Features(kind="perceptual", trainable="mel", **LOUD),
        5e-3,
        1e-4,
    ),
    "learnt_stft": (Features(kind="log_mel", trainable="stft", **LOUD), 5e-3, 1e-4),
}
CLIPS = ("1-100032-A-0.ogg", "2-140147-A-38.ogg", "5-189237-A-12.ogg")  # most hold silence
MEAN = "| split | device | accuracy % | 95 % | n |"
run = CliRunner()


@pytest.fixture(scope="module")
def waves(esc10: Path) -> torch.Tensor:
    """Two seconds of real clips: (B, T)."""
    found = []
    for name in CLIPS:
        wave_T, rate = soundfile.read(next(esc10.rglob(name)), dtype="float32")
        found.append(soxr.resample(wave_T, rate, RATE)[: 2 * RATE])
    return torch.from_numpy(np.stack(found))


@pytest.mark.parametrize("kind", FRONTS)
@torch.no_grad()
def test_front_ends_are_those_of_training(waves: torch.Tensor, kind: str):
    features, most, mean = FRONTS[kind]
    front = frontends.build(features, RATE)
    for filters in front.parameters():  # as if they had learnt
        filters.mul_(
            1 + 0.1 * torch.rand(filters.shape, generator=torch.Generator().manual_seed(1))
        )
    apart = (exportable(front, waves.shape[1])(waves) - front(waves)).abs()
    assert apart.max() < most
    assert apart.mean() < mean


def test_another_front_end_is_named():
    with pytest.raises(ValueError, match=r"^the front end Linear cannot be exported"):
        exportable(nn.Linear(2, 2), 100)


@pytest.fixture(scope="module")
def folder(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One damped trial, trained on patches, whose class has a name that Markdown would obey."""
    trial = changed(
        RECIPES["quickstart"],
        {
            "network.width": 2,
            "network.damping": 0.9,
            "training.epochs": 1,
            "training.warmup": 0,
            "evaluation.last": 1,
            "sound.patch": 30,
            "evaluation.patch_hop": 15,
        },
    )
    here = machine.here("cpu", "float32", 1)
    return ended(trial, store, here, tmp_path_factory.mktemp("export") / "results")


@pytest.fixture(scope="module")
def shipped(folder: Results) -> Path:
    """The folder of its ONNX file and card, checked on noise: `store` is not all of its clips."""
    with pytest.MonkeyPatch.context() as patch:
        stand_ins = lambda _, model, *__: agreement.synthetic(model, "not *here*")  # noqa: E731
        patch.setattr(agreement, "heard_out", stand_ins)
        made = run.invoke(command.app, ["export", folder.address])
    assert made.exit_code == 0, made.output
    assert "checked on 42 clips of noise and tones at batch 1 and 7" in made.output
    return Path(folder.address) / "models"


@pytest.fixture
def loaded(folder: Results) -> model.Model:
    (trial,) = folder.names("outcomes")
    return model.load(folder, trial)


def test_the_file_says_what_it_is(shipped: Path, loaded: model.Model):
    (path,) = shipped.glob("*.onnx")
    content = path.read_bytes()
    made = onnx.load_from_string(content)
    assert {prop.key: prop.value for prop in made.metadata_props} == export.about(loaded)
    assert str(Path(__file__).parents[1]).encode() not in content, "a path of this machine"
    assert not any(node.metadata_props for node in made.graph.node)
    kinds = [node.op_type for node in made.graph.node]
    assert not {"DFT", "STFT", "BatchNormalization"} & set(kinds)
    network = [node for node in made.graph.node if node.op_type == "Conv"]
    assert network
    assert not {node.name for node in network} & set(export.front_end_nodes(content))
    front = {n.op_type for n in made.graph.node if n.name in export.front_end_nodes(content)}
    assert {"MatMul", "Gather", "Log"} <= front
    assert 0 < export.front_end_bytes(content) < len(content)


@torch.no_grad()
def test_any_batch_is_answered_as_by_pytorch(shipped: Path, loaded: model.Model):
    (path,) = shipped.glob("*.onnx")
    answer = export.runner(path.read_bytes(), "onnx")
    loaded.temperature = 1.0
    for clips in (1, 2, 5):
        waves_BT = 0.1 * torch.randn(clips, loaded.samples)
        probabilities_BY, logits_BY = answer(waves_BT.numpy())
        wanted_BY = loaded(waves_BT)
        assert np.abs(logits_BY - wanted_BY.numpy()).max() < 1e-4
        assert np.allclose(probabilities_BY, loaded.probabilities(wanted_BY).numpy(), atol=1e-5)


def test_the_script_of_the_card_runs_alone(shipped: Path, loaded: model.Model, esc10: Path):
    (page,), (path,) = shipped.glob("*.md"), shipped.glob("*.onnx")
    script = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(script) == 1
    (shipped.parent / "run.py").write_text(script[0])
    recording = next(esc10.rglob(CLIPS[0]))
    done = subprocess.run(
        [sys.executable, "run.py", path, recording],
        cwd=shipped.parent,
        env={},  # no PYTHONPATH
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("overhear|scaling|torch", script[0])
    said = json.loads(done.stdout)
    answers = predict(loaded, [recording])
    first = answers[answers["part"] == "window"].iloc[0]
    assert said["label"] == first["label"]
    heard_T = windows.read(recording, RATE).wave_T[: loaded.samples]
    wanted_BY = loaded(torch.from_numpy(heard_T)[None].float() / 32768)
    assert said["logits"] == pytest.approx(wanted_BY[0].tolist(), abs=1e-4)
    assert said["probability"] == pytest.approx(first["probability"], abs=1e-4)


def test_the_card_says_the_same_twice(shipped: Path, loaded: model.Model):
    (page,), (facts,) = shipped.glob("*.md"), shipped.glob("*.json")
    told, said = page.read_text(), json.loads(facts.read_text())
    assert said["labels"] == list(loaded.labels)
    assert MEAN in told
    for row in said["accuracy"]:
        assert f"{100 * row['accuracy']:.1f} |" in told
    worst = min((r for r in said["accuracy"] if r["device"]), key=lambda row: row["accuracy"])
    assert said["worst"]["accuracy"] == worst["accuracy"]
    size = said["size"]
    assert size["macs"] < size["macs_with_normalization"]
    assert f"{size['macs']:,}" in told
    assert "Its own clips were not here: not \\*here\\*." in told
    assert said["trained_on"]["licence"] == "Apache-2.0"
    assert "Latency: not measured" in told


def test_accuracies_are_those_of_the_answers(folder: Results, shipped: Path):
    said = json.loads(next(shipped.glob("*.json")).read_text())
    answers = folder.read("predictions").to_pandas()
    assert said["accuracy"]
    for row in said["accuracy"]:
        here = answers[answers["split"] == row["split"]]
        if row["device"]:
            here = here[here["device"] == row["device"]]
        right = (here["label"] == here["predicted"]).mean()
        assert row["accuracy"] == pytest.approx(right)
        assert row["n"] == here["clip"].nunique()
        assert row["low"] <= right <= row["high"]


def test_multiply_adds_are_those_of_the_plan(folder: Results, shipped: Path):
    """Patch by patch; with normalization by hand: two for each value that a layer puts out."""
    said = json.loads(next(shipped.glob("*.json")).read_text())
    (macs,) = folder.read("manifest")["macs"].to_pylist()
    assert said["size"]["macs"] == said["size"]["patches"] * macs


def test_markup_of_records_is_text():
    said = card.md("<b>*x*</b> [a](b) `c` | https://e.org\x1b[0m")
    assert said == r"\<b\>\*x\*\</b\> \[a\](b) \`c\` \| https\://e.org\\x1b\[0m"


def test_a_file_that_answers_otherwise_is_not_written(
    folder: Results, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model that has changed since: its file is the old one."""
    (path,) = shipped.glob("*.onnx")
    monkeypatch.setattr(export, "exported", lambda *_: path.read_bytes())
    monkeypatch.setattr(agreement, "heard_out", lambda _, m, *__: agreement.synthetic(m, "x"))
    monkeypatch.setattr(agreement, "MOST", 0.0)
    made = run.invoke(command.app, ["export", folder.address, "--out", str(tmp_path)])
    assert isinstance(made.exception, ValueError)
    line = r"nothing was written.* logit difference is [\d.e-]+ \(at most 0\) and 0 of 42 clips"
    assert re.search(line, str(made.exception))
    assert not list(tmp_path.iterdir())


@torch.no_grad()
def check_script(
    target: str, loaded: model.Model, path: Path, recordings: list[Path], printed: Any
):
    """Its script, run here, answers as the model does: each recording, and seven clips."""
    text = script(target)
    assert not re.search("overhear|scaling", text.replace("overhear.json", ""))
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run.py", str(path), *map(str, recordings)])
        exec(compile(text, "run.py", "exec"), names)
    said = [json.loads(line) for line in printed.readouterr().out.splitlines()]
    answers = predict(loaded, recordings)
    first = answers[answers["part"] == "window"].groupby("file", sort=False).first()
    assert [each["label"] for each in said] == first["label"].tolist()
    chances = [each["probability"] for each in said]
    assert chances == pytest.approx(first["probability"].tolist(), abs=1e-4)
    for clips in (1, 7):
        waves_BT = 0.1 * torch.randn(clips, loaded.samples)
        _, logits_BY = names["answers"](waves_BT.numpy())
        assert np.abs(logits_BY - loaded(waves_BT).numpy()).max() < 1e-4


def test_a_program_of_torch_needs_no_overhear(
    loaded: model.Model, esc10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "model.pt2"
    path.write_bytes(export.exported(loaded, "torch"))
    recordings = [next(esc10.rglob(name)) for name in CLIPS]
    check_script("torch", loaded, path, recordings, capsys)
    assert str(Path(__file__).parents[1]).encode() not in path.read_bytes()


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.sum())


def test_a_layer_that_cannot_be_exported_is_named(
    loaded: model.Model, capsys: pytest.CaptureFixture[str]
):
    loaded.classifier.network.block1.pool = 1
    loaded.classifier.network.block1.dropout = Untraceable()
    line = r"its layer network\.block1\.dropout \(Untraceable\) has an operation"
    with pytest.raises(ValueError, match=line):
        whole.program(whole.Whole(loaded), loaded.id)
    assert not capsys.readouterr().err  # where torch prints the program


class WithoutTwin(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.i0e(x)


def test_a_layer_that_onnx_has_no_operator_for_is_found():
    network = nn.Sequential(nn.Identity(), WithoutTwin())
    captured = torch.export.export(network.eval(), (torch.zeros(2),))
    with whole.quiet(), pytest.raises(torch.onnx.errors.OnnxExporterError) as caught:
        torch.onnx.export(captured, dynamo=True, verbose=False)
    layer, cause = export._blamed(caught.value)
    assert layer == "1"
    assert "No ONNX function found" in str(cause)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--trial", "zz"], "--trial zz: no trial of"),
        (["--out", "model.txt"], r"--out model.txt: a file of this format must end in \.onnx"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(folder: Results, words: list[str], line: str):
    made = run.invoke(command.app, ["export", folder.address, *words], standalone_mode=False)
    assert isinstance(made.exception, ValueError | BadParameter)
    assert re.search(line, str(made.exception))


def test_a_runtime_that_is_too_old_or_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "version", lambda _: "1.2.3")
    with pytest.raises(ValueError, match=r"onnx 1\.2\.3 is too old, 1\.17 or newer .*\[export\]"):
        export.check_target("onnx")
    monkeypatch.setattr(optional, "missing", lambda _: ["onnxruntime"])
    line = r"--to onnx needs onnxruntime: pip install '.*\[export\]'"
    with pytest.raises(ValueError, match=line):
        export.check_target("onnx")


@pytest.mark.skipif(importlib.util.find_spec("executorch") is not None, reason="it is installed")
def test_executorch_is_asked_for():
    line = "--to executorch needs executorch: pip install 'overhear-study[executorch]'"
    with pytest.raises(ValueError, match=re.escape(line)):
        export.check_target("executorch")


@pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None, reason="the extra executorch is not installed"
)
def test_executorch_answers_as_pytorch(
    loaded: model.Model, esc10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    content = export.exported(loaded, "executorch")
    run_it = export.runner(content, "executorch")
    found = agreement.agree(run_it, loaded, agreement.synthetic(loaded, "a test"))
    assert found.holds
    assert found.clips == 42
    (tmp_path / "model.pte").write_bytes(content)
    recordings = [next(esc10.rglob(name)) for name in CLIPS]
    check_script("executorch", loaded, tmp_path / "model.pte", recordings, capsys)


@pytest.mark.parametrize(
    ("out", "place"),
    [
        ("a/b.onnx", ("a", "b.onnx")),
        ("b.onnx", ("", "b.onnx")),
        ("a/", ("a", "t.onnx")),
        ("a", ("a", "t.onnx")),
        (None, ("r/models", "t.onnx")),
    ],
)
def test_where_a_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str | None, place: tuple[str, str]
):
    monkeypatch.chdir(tmp_path)
    found = destination(Results("r"), out, "t", ".onnx")
    assert Path(found.put(b"x", ".onnx")).resolve() == tmp_path.joinpath(*place)
