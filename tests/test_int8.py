"""int8 twins: what is quantized, on which clips, and when one is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import typer
from test_measure import TIMING
from test_model import brief, ended
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.networks.modules.kernels import Prunable
from scaling.results.records import Results
from scaling.settings import Trial, changed
from scaling.shipping import agreement, export, finetune, int8, model, slim, stopwatch
from scaling.shipping.twin import RATE
from scaling.sound.store import Store
from scaling.training.inputs import Listener

HERE = machine.Machine(torch.device("cpu"), torch.float32, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def complete(trial: Trial, store: Store, folder: Path) -> Results:
    """One small trial, trained once for this file."""
    if (folder / "weights").is_dir():
        return Results(folder)
    return ended(brief(trial), store, HERE, folder)


@pytest.fixture
def listener(trial: Trial, store: Store) -> Listener:
    return Listener(brief(trial), store, HERE)


@pytest.fixture
def content(trial: Trial, complete: Results, folder: Path) -> bytes:
    """Its ONNX file, exported once for this file."""
    kept = folder / "kept.onnx"
    if not kept.exists():
        kept.write_bytes(export.exported(model.load(complete, brief(trial).id, HERE), "onnx"))
    return kept.read_bytes()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, listener: Listener, content: bytes) -> None:
    """No clock runs, nothing is exported again, and the few clips of `store` are the trial's."""
    monkeypatch.setattr(stopwatch, "run", lambda _: [TIMING])
    monkeypatch.setattr(agreement, "listening", lambda *_: listener)
    monkeypatch.setattr(export, "exported", lambda *_: content)


def test_layers_are_quantized_per_channel_and_the_front_end_is_not(
    trial: Trial,
    complete: Results,
    content: bytes,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []
    long: list[bytes] = []
    waves = listener.waves
    monkeypatch.setattr(listener, "waves", lambda rows: heard.extend(rows) or waves(rows))
    monkeypatch.setattr(int8, "slimmed", lambda made: long.append(made) or slim.slimmed(made))
    twin = int8.quantized(content, listener, 8)
    assert len(heard) == twin.calibration_clips == 8
    assert set(heard) <= set(listener.parts["train"])
    assert twin.float32 == content
    graph = onnx.load_from_string(twin.int8).graph
    source = {name: node for node in graph.node for name in node.output}
    sizes = {each.name: list(each.dims) for each in graph.initializer}
    layers = [node for node in graph.node if node.op_type in int8.LAYERS]
    front = [node for node in layers if node.name.startswith(export.FRONT_END)]
    assert front
    assert all(source.get(node.input[1]) is None for node in front)
    network = [node for node in layers if node not in front]
    assert len(network) == len([n for n in onnx.load_from_string(content).graph.node
                                if n.op_type == "Conv"])  # fmt: skip
    for node in network:
        weight = source[node.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert weight.input[0].startswith("network.")
        assert sizes[weight.input[1]] == sizes[weight.input[0]][:1]  # a scale for each channel

    waves_BT = waves(listener.parts["train"][:16]).numpy()
    whole, small, other = (
        export.runner(each, "onnx")(waves_BT)[1] for each in (*long, twin.int8, content)
    )
    assert np.array_equal(whole, small), "what is left out changes nothing"
    assert 0 < np.abs(small - other).max() < 1
    onnx.checker.check_model(twin.int8)
    assert len(twin.int8) < 0.7 * len(long[0])
    tables = [export.front_end_bytes(each) for each in (*long, twin.int8)]
    assert 0 < tables[1] < tables[0] == export.front_end_bytes(content)

    judged = int8.judged(twin, listener)
    recorded = complete.read("predictions", [brief(trial).id]).to_pandas()
    right = (recorded["label"] == recorded["predicted"]).groupby(recorded["device"]).mean()
    by_device = {r["device"]: r["float32"] for r in judged.devices if r["device"] != "all"}
    assert by_device == pytest.approx(right.to_dict())


def test_fine_tuning_learns_rounded_weights_of_training_clips(
    trial: Trial, complete: Results, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = model.load(complete, brief(trial).id, HERE)
    heard: list[int] = []
    features = listener.features
    monkeypatch.setattr(
        listener, "features", lambda rows: heard.extend(rows.tolist()) or features(rows)
    )
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    first = next(m for m in loaded.classifier.network.modules() if isinstance(m, Prunable))
    first.weight.view(-1)[0] = 0  # as if it had been cut
    assert finetune.stops(6) == [1, 2, 4, 6]
    states = dict(finetune.finetuned(loaded, listener, 3, RATE))
    assert [*states] == [1, 2, 3]
    assert sorted(heard) == sorted([*listener.parts["train"].tolist()] * 3)
    for made in states.values():
        state = made.state_dict()
        assert {*state} == {*before}
        changed = {name for name, value in before.items() if not torch.equal(value, state[name])}
        assert changed
        assert all(name.endswith("weight") for name in changed)
        for layer in made.classifier.network.modules():
            if isinstance(layer, Prunable) and layer.weight.any():
                assert torch.allclose(layer.weight, finetune.rounded(layer.weight), atol=1e-6)
        tuned = next(m for m in made.classifier.network.modules() if isinstance(m, Prunable))
        assert tuned.weight.view(-1)[0] == 0
    assert not torch.equal(states[1].state_dict()[name := changed.pop()], state[name])


def test_validation_clips_alone_choose_how_long(
    trial: Trial,
    complete: Results,
    content: bytes,
    store: Store,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The best worst device, of equals the best mean, of equals the fewest epochs."""
    loaded = model.load(complete, brief(trial).id, HERE)
    without = Listener(brief(trial), store, HERE)
    with pytest.raises(ValueError, match=r"^--finetune 2: trial \w+ has no validation clips"):
        next(int8.candidates(content, loaded, without, 2, RATE))

    listener = Listener(changed(brief(trial), {"split.validation_fold": 2}), store, HERE)
    heard: set[int] = set()
    waves = listener.waves
    monkeypatch.setattr(listener, "waves", lambda rows: heard.update(rows) or waves(rows))
    tried = [*int8.candidates(content, loaded, listener, 1, RATE)]
    parts = listener.parts
    assert heard == {*parts["train"], *parts["validation"]}
    assert {*parts} - {"train", "validation"}, "there are test clips, which nobody heard"
    answered = export.runner(tried[0].int8, "onnx")(waves(parts["validation"]).numpy())[1]
    right = answered.argmax(axis=1) == listener.targets[parts["validation"]]
    devices = listener.table["device"].iloc[parts["validation"]]
    worst = min(right[devices == device].mean() for device in devices.unique())
    assert tried[0].tried == (int8.Validated(0, pytest.approx(worst), pytest.approx(right.mean())),)
    assert [twin.finetuned_epochs for twin in tried] == [0, 1]

    def chosen(*rights: tuple[float, float]) -> int:
        twins = [
            int8.Twin(b"", b"", 8, epochs, (int8.Validated(epochs, *right),))
            for epochs, right in enumerate(rights)
        ]
        assert len(int8.best(twins).tried) == len(rights)
        return int8.best(twins).finetuned_epochs

    assert chosen((0.6, 0.9), (0.7, 0.8)) == 1
    assert chosen((0.7, 0.8), (0.7, 0.8), (0.7, 0.9), (0.6, 1.0)) == 2
    assert chosen((0.7, 0.8), (0.7, 0.8)) == 0


def test_a_device_that_loses_too_much_is_named() -> None:
    rows = (
        {"split": "unseen", "device": "a", "clips": 40, "float32": 0.9, "int8": 0.9},
        {"split": "unseen", "device": "b", "clips": 40, "float32": 0.8, "int8": 0.75},
    )
    twin = int8.Twin(b"", b"", 8, devices=rows)
    assert int8.refused(twin, 5.01) == ""
    assert int8.refused(twin, 2.0) == (
        "--int8: nothing was written, as unseen device b loses 5.0 points (80.0 to 75.0 % of 40 "
        "clips), more than --max-loss 2: allow it, or --force"
    )


def test_the_command_writes_twin_card_and_records(
    trial: Trial, complete: Results, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = brief(trial).id
    monkeypatch.setattr(
        agreement, "heard_out", lambda _, found, *__: agreement.synthetic(found, "-")
    )
    asked = ["export", complete.where, "--int8", "--out", f"{tmp_path}/"]
    with monkeypatch.context() as patch:
        patch.setattr(export, "exported", None)  # is not come to
        with pytest.raises(ValueError, match="no validation clips"):
            app([*asked, "--finetune", "2"], standalone_mode=False)
    monkeypatch.setattr(int8.Twin, "lost", 2.5)
    with pytest.raises(ValueError, match=r"^--int8: nothing was written, as .* loses 2\.5 points"):
        app(asked, standalone_mode=False)
    assert not [*tmp_path.iterdir()]
    assert not complete.holds("int8", name)
    said = CliRunner().invoke(app, [*asked, "--force"], catch_exceptions=False).output
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert {*sizes} == {f"{name}{e}" for e in (".onnx", ".int8.onnx", ".md", ".json")}
    assert f"{sizes[f'{name}.int8.onnx']:,} bytes of {sizes[f'{name}.onnx']:,}" in said
    slow = "int8 is not faster on this machine: p50 2.00 ms against 2.00 ms"
    assert f"  {slow}\n" in said
    assert "saves no bytes" not in said
    kept = complete.read("int8", [name]).to_pandas()
    assert (kept["int8_bytes"] == sizes[f"{name}.int8.onnx"]).all()
    times = complete.read("latency", [name]).to_pandas()
    assert {*times["precision"]} == {"float32", "int8"}
    assert {*times["runtime"]} == {"onnxruntime"}
    card = json.loads((tmp_path / f"{name}.json").read_text())
    assert card["int8"]["int8_bytes"] == sizes[f"{name}.int8.onnx"]
    assert card["int8"]["remarks"] == [slow]
    page = (tmp_path / f"{name}.md").read_text()
    assert "## int8" in page
    assert f" {slow}." in page
    larger = int8._remarks(
        {"float32_bytes": 9, "int8_bytes": 9}, {"float32": {"p50_ms": 2}, "int8": {"p50_ms": 1}}
    )
    assert [line[:29] for line in larger] == ["int8 saves no bytes here: 9 a"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--int8", "--to", "torch"],
            "^--int8 with --to torch: only --to onnx has an int8 version$",
        ),
        (["--int8", "--max-loss", "-1"], "^-1 is out of bounds: 0 or more$"),
        (["--finetune", "1"], "^--finetune needs --int8: it trains the int8 version$"),
        (
            ["--finetune-rate", "1"],
            "^1 is out of bounds: above 0, at most 0.1$",
        ),
        (["--finetune-rate", "1e-4"], "^--finetune-rate needs --finetune EPOCHS"),
        (["--force"], "^--force needs --int8: it allows the int8 version to lose accuracy$"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    complete: Results, words: list[str], line: str
) -> None:
    with pytest.raises((ValueError, typer.BadParameter), match=line):
        app(["export", complete.where, *words], standalone_mode=False)
