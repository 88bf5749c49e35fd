"""Damage: whatever happens to a file's bytes, what is read are the true values or one clear line.

`python tests/test_damage.py` flips one bit in every byte of each kind of file and prints how many
flips were noticed and how many changed nothing.
"""

import datetime
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from scaling import machine
from scaling.results import checkpoint, lock_file, manifest, memory, seal, weights
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound.store import Store
from sweeps.engine import lock

FLIPS = 40  # of each kind; all of them: see above


class Kind(NamedTuple):
    """A file of a results folder, how it is read, and whether what is damaged costs a warning."""

    path: Path
    read: Callable[[], Any]
    warns: bool = False


def fill(folder: Path, trial: Trial, store: Store) -> dict[str, Kind]:
    """A folder with one file of every kind, as the platform writes them."""
    results = Results(folder)
    planned = manifest.plan("s", [trial], {"synthetic": store.table})
    manifest.record(planned, {trial.id: store.digest}, results)
    here = machine.here("cpu", "float32", 1)
    running = run_trial(trial, store, here, results)
    next(running)
    state = results.get("checkpoints", trial.id, checkpoint.NAME)
    list(running)
    assert state is not None
    results.put(state, "checkpoints", trial.id, checkpoint.NAME)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    row = {"trial": trial.id, "seconds": 9.5, "at_most": False, "how": "given", "speed": 2.0}
    row |= {"slots": 2, "wall_s": None, "node": "n", "made": now}
    results.write("forecasts", "f", [row])
    row = {"trial": trial.id, "predicted_s": 9.5, "took_s": 19.0, "error": 1.0}
    results.write("forecast_errors", "f", [row])
    row = {"trial": trial.id, "city": "Graz", "label": "park", "part": "test"}
    results.write("pairs", trial.id, [row, row | {"city": "Linz"}])
    results.write("maps", trial.id, [a_map(trial)])
    note = memory.Excess(1, "held 4 GiB, more than --memory-per-trial 2 GiB")
    results.put(seal.note(note._asdict()), "checkpoints", trial.id, memory.FILE)
    held = lock.Lock(results)
    held._put(None)
    (launch,) = results.names("manifest")

    def rows(kind: str, name: str) -> Kind:
        def read() -> Any:
            return results.read(kind, [name]).to_pylist()

        return Kind(folder / kind / f"{name}.parquet", read)

    def learned() -> Any:
        path = folder / "weights" / f"{trial.id}.safetensors"
        found = weights.unpacked(path.read_bytes(), trial.id, str(path))
        return {name: value.tolist() for name, value in sorted(found.items())}

    kinds = {"metrics": trial.id, "predictions": trial.id, "pairs": trial.id, "maps": trial.id}
    kinds |= {"outcomes": trial.id, "manifest": launch, "forecasts": "f", "forecast_errors": "f"}
    beside = folder / "checkpoints" / trial.id
    return {
        **{kind: rows(kind, name) for kind, name in kinds.items()},
        "weights": Kind(folder / "weights" / f"{trial.id}.safetensors", learned),
        "checkpoint": Kind(
            beside / checkpoint.NAME, lambda: checkpoint.load(trial, results), warns=True
        ),
        "memory.json": Kind(
            beside / memory.FILE, lambda: memory.read(trial.id, results), warns=True
        ),
        # whoever holds the folder writes it again within seconds
        lock_file.FILE: Kind(
            folder / lock_file.FILE, lambda: lock_file.read(held.results) or unheld()
        ),
    }


def unheld() -> None:
    warnings.warn("nobody holds it", stacklevel=2)


def a_map(trial: Trial) -> dict[str, Any]:
    numbers = dict.fromkeys(("row", "column", "sigma_f", "sigma_t", "luo_side"), 1.5)
    numbers |= {
        "participation": 4.0,
        "inside": 1.0,
        **dict.fromkeys(("f50", "t50", "f95", "t95"), 2),
    }
    about = {"trial": trial.id, "epoch": 3, "split": "test", "kind": "feature", "clips": 7}
    return about | {"rows": 8, "columns": 9, "values": np.linspace(0, 1, 72), **numbers}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: Store) -> dict[str, Kind]:
    return fill(tmp_path_factory.mktemp("whole"), few(), store)


def few() -> Trial:
    """The trial of conftest, which lives for one test only."""
    import conftest

    return conftest.trial.__wrapped__()


def answer(kind: Kind) -> tuple[str, str]:
    """What is read, in a comparable form; or the line that is said instead."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = repr(kind.read())
        except ValueError as error:
            return "", str(error)
    if heard:
        (one,) = heard
        return "", str(one.message)
    return found, ""


def flipped(kind: Kind, flips: Iterator[tuple[int, int]], truth: str) -> dict[str, int]:
    """How many of these flips, of a bit in a byte, were noticed or changed nothing."""
    whole = kind.path.read_bytes()
    counts = {"noticed": 0, "harmless": 0}
    try:
        for at, bit in flips:
            content = bytearray(whole)
            content[at] ^= 1 << bit
            kind.path.write_bytes(content)
            found, said = answer(kind)
            if said:
                check_line(said, kind)
                counts["noticed"] += 1
            else:
                assert found == truth, f"{kind.path.name}: bit {bit} of byte {at} went unnoticed"
                counts["harmless"] += 1
    finally:
        kind.path.write_bytes(whole)
    return counts


def check_line(said: str, kind: Kind) -> None:
    assert "\n" not in said
    assert len(said) < 1000
    if kind.path.name == lock_file.FILE:
        return
    if kind.warns:
        assert "damaged" in said or "another version" in said
    else:
        assert str(kind.path) in said
        assert "delete it" in said


NAMES = [
    *("metrics", "predictions", "pairs", "maps", "outcomes", "manifest", "forecasts"),
    *("forecast_errors", "weights", "checkpoint", "memory.json", "sweep.json"),
]


@pytest.mark.fault(
    "one bit flips in a file of the results folder",
    "a record or weights file is refused in one line that names the file and the remedy, and "
    "status shows the rest; a damaged checkpoint costs its epochs and a warning",
)
@pytest.mark.parametrize("name", NAMES)
def test_one_flipped_bit_is_noticed_or_harmless(folder: dict[str, Kind], name: str):
    kind = folder[name]
    truth, said = answer(kind)
    assert not said
    draws = stream(11, "flips", name)
    size = kind.path.stat().st_size
    places = draws.integers(0, size, FLIPS), draws.integers(0, 8, FLIPS)
    counts = flipped(kind, zip(*(p.tolist() for p in places), strict=True), truth)
    assert counts["noticed"] > 0.9 * FLIPS, counts


@pytest.mark.parametrize("name", NAMES)
def test_other_damage_is_noticed(folder: dict[str, Kind], name: str):
    """What a power cut, another program or a bad copy leave: cut off, emptied, zeroed, doubled."""
    kind = folder[name]
    whole = kind.path.read_bytes()
    half = len(whole) // 2
    try:
        for content in (
            b"", whole[:half], whole[:-1], bytes(len(whole)), bytes(half) + whole[half:],
            whole[:half] + bytes(len(whole) - half), whole + whole, os.urandom(999),
            b"[]", b"[" * 100_000, b"{}",
        ):  # fmt: skip
            kind.path.write_bytes(content)
            found, said = answer(kind)
            assert said, (name, content[:40], found[:100])
            check_line(said, kind)
    finally:
        kind.path.write_bytes(whole)


def test_other_programs_read_what_is_sealed(folder: dict[str, Kind]):
    import pandas as pd
    import safetensors.torch
    import torch

    table = pq.read_table(folder["metrics"].path, page_checksum_verification=True)
    assert table.to_pylist() == folder["metrics"].read()
    assert len(pd.read_parquet(folder["metrics"].path)) == table.num_rows
    assert "network.classifier.weight" in safetensors.torch.load_file(folder["weights"].path)
    assert torch.load(folder["checkpoint"].path, weights_only=True)["epoch"] == 1
    assert json.loads(folder["memory.json"].path.read_text())["times"] == 1


def test_files_of_earlier_versions_are_read(folder: dict[str, Kind], tmp_path: Path):
    """They hold no checksum, and say nothing of whose weights and states they are."""
    import safetensors.torch
    import torch

    trial, old = few(), Results(tmp_path)
    (tmp_path / "metrics").mkdir()
    pq.write_table(plain(folder["metrics"].path), tmp_path / "metrics" / f"{trial.id}.parquet")
    assert old.read("metrics").to_pylist() == folder["metrics"].read()
    tensors = safetensors.torch.load_file(folder["weights"].path)
    found = weights.unpacked(safetensors.torch.save(tensors), trial.id, "w")
    assert found.keys() == tensors.keys()
    state = torch.load(folder["checkpoint"].path, weights_only=True)
    del state["trial"]
    path = tmp_path / "checkpoints" / trial.id / checkpoint.NAME
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    found = checkpoint.load(trial, old)
    assert found is not None
    assert found["epoch"] == 1
    (path.parent / memory.FILE).write_text('{"times": 1, "reason": "held 4 GiB"}')
    assert memory.read(trial.id, old) == memory.Excess(1, "held 4 GiB")


def plain(path: Path) -> Any:
    return pq.read_table(path).replace_schema_metadata({"overhear": "1"})


if __name__ == "__main__":
    from conftest import store as _store

    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("OVERHEAR_CACHE", scratch)
        for name, kind in fill(Path(scratch) / "r", few(), _store.__wrapped__()).items():
            truth, _ = answer(kind)
            size = kind.path.stat().st_size
            bits = stream(12, "bits", name).integers(0, 8, size).tolist()
            counts = flipped(kind, zip(range(size), bits, strict=True), truth)
            print(f"{name:16} {size:8,} bytes: {counts}", flush=True)
