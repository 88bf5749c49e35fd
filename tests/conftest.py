"""What tests share: trials that take a second, and the real recordings where they are."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from scaling import machine
from scaling.networks.cp_resnet import CPResNet
from scaling.settings import Augment, Features, Sound, Split, Training, Trial
from scaling.sound import datasets
from scaling.sound.packing import pack
from scaling.sound.store import Store

pytest.register_assert_rewrite("helpers")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&`: tests of Ctrl-C need it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup's: children would ignore it, too
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


# files that take 15 s or more, the slowest first: begun last, one would run alone at the end
# (`pytest --durations=100` on two cores; a file that is missing here costs no more than its time)
SLOWEST = (
    *("faults", "cluster", "sweep", "signals", "report", "limits", "fuzz", "figures", "search"),
    *("cli", "additions", "benchmarks", "own_parts", "until_decided", "rewinding"),
    *("object_store", "shadows", "frontends", "local", "run_trial", "analysis_cli", "lock"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, the others in their order, each file's tests in theirs: pytest's workers
    take the next file when they are done with one.
    """
    rank = {f"test_{name}.py": number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(SLOWEST)))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny tensors gain nothing from more, and lose much where cores are busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Packed clips of the tests stay out of the user's cache, and are packed once for all of
    pytest's workers, whose folders lie beside each other.
    """
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    os.environ["OVERHEAR_CACHE"] = str(cache)


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_disks() -> Iterator[None]:
    """Of thousands of small files, none of which must outlive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def here() -> machine.Machine:
    """This machine's processor, with one thread."""
    return machine.here("cpu", "float32", 1)


@pytest.fixture(scope="session")
def esc10() -> Path:
    """The root of ESC-10's real recordings."""
    root = Path(os.environ.get("OVERHEAR_DATA", "data")) / "ESC-10"
    if not root.is_dir():
        pytest.skip("ESC-10 is not here: set OVERHEAR_DATA to the folder above it")
    return root


@pytest.fixture(scope="session")
def store() -> Store:
    """A few clips of the embedded dataset: every class, fold and device, in a moment's training."""
    clips = datasets.scan("synthetic")
    few = clips.table.groupby(["label", "fold", "device"], sort=False).head(3)
    part = few.sort_values("clip").reset_index(drop=True)
    return pack(dataclasses.replace(clips, table=part), 16_000, progress=False)


@pytest.fixture
def trial() -> Trial:
    """A trial on the embedded dataset that trains in about a second."""
    return Trial(
        seed=3,
        sound=Sound(
            dataset="synthetic",
            rate=16_000,
            seconds=1.0,
            features=Features(kind="log_mel", window=512, hop=512, mels=32, range_db=80),
        ),
        split=Split(protocol="folds", fold=1, train_devices=("a",)),
        network=CPResNet(width=2, depth=1, pointwise=1),
        training=Training(epochs=3, batch=16, rate=5e-3, warmup=1, final=0.1, stepping="step"),
        augment=Augment(roll=0.5, mixup=0.3),
    )


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """A clip table of 2 classes, 2 folds, 2 devices."""
    rows = [
        {"clip": f"{label}{fold}{device}{i}", "label": label, "fold": fold, "device": device}
        for label in "xy"
        for fold in (1, 2)
        for device in "ab"
        for i in range(8)
    ]
    table = pd.DataFrame(rows).assign(
        city="", speaker="", source="", size=1, fingerprint="f", content=""
    )
    return {"synthetic": table.astype({"fold": "Int64"})}
