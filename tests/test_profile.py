"""A profile: its parts add up, name what the time went to, and leave the trial as it was."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from scaling.machine import Machine
from scaling.settings import Trial, sizes
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.profile import Profile, profile
from scaling.training.session import Session
from sweeps.studies import few_data


def profiled(trial: Trial, store: Store, here: Machine) -> Profile:
    return profile(trial, store, here, sizes.cost(trial, len(store.labels)).parts)


def seconds(found: Profile, name: str) -> float:
    (phase,) = [each for each in found.phases if each.name == name]
    return phase.seconds


def test_phases_are_the_whole_time(trial: Trial, store: Store, here: Machine):
    found = profiled(trial, store, here)
    assert sum(each.seconds for each in found.phases) == pytest.approx(found.seconds, rel=0.05)
    for name in ("clips", "front end", "standardize", "forward", "backward", "optimizer"):
        assert seconds(found, name) > 0, name
    network = sum(seconds(found, name) for name in ("forward", "backward", "optimizer"))
    assert found.around == pytest.approx(
        1 - (network + seconds(found, "loss and gradients")) / found.seconds, abs=0.05
    )


def test_layers_are_in_their_pass_and_count_their_operations(
    trial: Trial, store: Store, here: Machine
):
    found = profiled(trial, store, here)
    cost = sizes.cost(trial, len(store.labels))
    assert [each.name for each in found.layers] == [part.name for part in cost.parts]
    assert all(each.forward_seconds > 0 and each.backward_seconds > 0 for each in found.layers)
    assert sum(each.forward_seconds for each in found.layers) < seconds(found, "forward")
    assert sum(each.backward_seconds for each in found.layers) < seconds(found, "backward")
    assert found.flops == 6 * cost.macs * found.clips  # two a multiply-add, in three products


class Slow(nn.Module):
    """Wastes time in its own passes only."""

    def __init__(self, wrapped: nn.Module) -> None:
        super().__init__()
        self.wrapped = wrapped

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.wrapped(x)
        waste = torch.ones(200, 200, requires_grad=True)
        for _ in range(60):
            waste = waste @ waste / 200
        return y + 0 * waste.sum()


def test_a_slow_layer_is_found_in_both_passes(
    trial: Trial, store: Store, here: Machine, monkeypatch: pytest.MonkeyPatch
):
    begin = Session.begin

    def slowed(session: Session) -> None:
        begin(session)
        block = session.model.network.get_submodule("block2")
        if not isinstance(block.conv1, Slow):
            block.conv1 = Slow(block.conv1)

    monkeypatch.setattr(Session, "begin", slowed)
    found = {each.name: each for each in profiled(trial, store, here).layers}
    slow = found.pop("block2.conv1")
    assert slow.forward_seconds > max(each.forward_seconds for each in found.values())
    assert slow.backward_seconds > max(each.backward_seconds for each in found.values())


def test_the_trace_opens_and_hooks_are_gone(
    trial: Trial, store: Store, here: Machine, monkeypatch: pytest.MonkeyPatch
):
    sessions = []
    begin = Session.begin
    monkeypatch.setattr(
        Session, "begin", lambda session: sessions.append(session) or begin(session)
    )
    found = profiled(trial, store, here)
    names = {each.get("name") for each in json.loads(gzip.decompress(found.trace))["traceEvents"]}
    assert {"overhear: step", "overhear: front end", "overhear: layer stem"} <= names
    session = sessions[0]
    assert not any(module._forward_hooks for module in session.model.modules())
    assert session.listener.waves_at == Listener.waves_at.__get__(session.listener)


def test_what_trains_nothing_has_no_epoch(store: Store, here: Machine):
    still = next(each for each in few_data.trials() if not each.objective.trains)
    with pytest.raises(ValueError, match=r"objective\.kind=.* trains nothing"):
        profile(still, store, here, [])


def test_the_command_writes_tables_and_a_trace(tmp_path: Path):
    from typer.testing import CliRunner

    from overhear.command import app

    words = ["train", "network.width=2", "sound.features.mels=32", "training.warmup=1"]
    words += ["training.epochs=2", "--threads", "1", "--out", str(tmp_path), "--profile"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert any(line.startswith("front end") for line in lines)
    assert max(len(line) for line in lines if "/" not in line) <= 80
    names = {path.name.partition(".")[2] for path in (tmp_path / "profiles").iterdir()}
    assert names == {"phases.csv", "layers.csv", "trace.json.gz"}
    (trace,) = (tmp_path / "profiles").glob("*.gz")
    assert json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"], "compressed once"
    assert not (tmp_path / "outcomes").exists()
    both = CliRunner().invoke(app, [*words, "--dry-run"])
    assert both.exit_code != 0
