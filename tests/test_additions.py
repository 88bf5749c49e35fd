"""What is added as CONTRIBUTING says costs its file and one line: the examples of docs/extend.md,
in a copy of the tree, listed, trained and drawn by the commands.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {
    text.split("\n")[0].strip('"').split(":")[0].split(",")[0]: text
    for text in re.findall(r"```python\n(.*?)```", (ROOT / "docs/extend.md").read_text(), re.DOTALL)
}
# each addition: its example, its file, the one line, and the line that it stands behind
ADDED = {
    "network": (
        "Three convolutions and their mean.",
        "scaling/networks/three.py",
        "scaling/networks/__init__.py",
        '        "cp_resnet",\n',
        '        "three",\n',
    ),
    "objective": (
        "Focal loss",
        "scaling/objectives/focal.py",
        "scaling/objectives/__init__.py",
        '        "cross_entropy",\n',
        '        "focal",\n',
    ),
    "dataset": (
        "Birds",
        "scaling/sound/datasets/birds.py",
        "scaling/sound/datasets/__init__.py",
        '            "synthetic:DATASET",\n',
        '            "birds:DATASET",\n',
    ),
    "figure": (
        "Accuracy by length of the clips",
        "analysis/figures/accuracy_vs_seconds.py",
        "analysis/figures/registry.py",
        '        "random_labels": "random_labels",\n',
        '        "accuracy_vs_seconds": "accuracy_vs_seconds",\n',
    ),
    "augmentation": (
        "Gain",
        "scaling/sound/transforms/gain.py",
        "scaling/settings/transforms.py",
        '    "reverb",\n',
        '    "gain",\n',
    ),
    "study": ("Does damping help at every width?", "sweeps/studies/damped_width.py", "", "", ""),
}
SMALL = (
    *("training.epochs=1", "training.warmup=0", "training.batch=2", "augment.roll=0.1"),
    *("sound.dataset=birds", "split.train_devices=", "split.protocol=made_folds", "split.folds=2"),
    *("network.kind=three", "network.width=2", "objective.kind=focal", "objective.gamma=1.5"),
    *("augment.transform=gain", "augment.transform_share=0.5", "evaluation.disagreement=gain"),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with everything added, and of its many studies one."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("overhear", "scaling", "sweeps", "analysis"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    for study in (root / "sweeps" / "studies").glob("*.py"):
        if study.stem not in ("__init__", "quickstart"):
            study.unlink()  # counting the trials of all takes seconds
    for example, file, registry, behind, line in ADDED.values():
        assert not (root / file).exists()
        (root / file).write_text(EXAMPLES[example])
        if registry:
            text = (root / registry).read_text()
            assert text.count(behind) == 1
            (root / registry).write_text(text.replace(behind, behind + line))
    draws = np.random.default_rng(0)
    for bird in ("crow", "finch", "owl"):
        (root / "data" / "birds" / bird).mkdir(parents=True)
        for number in range(4):
            with wave.open(str(root / "data" / "birds" / bird / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(draws.integers(-9000, 9000, 16_000).astype("<i2").tobytes())
    return root


PROCESS = """
import json, sys
from overhear.command import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["overhear", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
    print(end="\\0", flush=True)
"""


def overhear(tree: Path, *lines: Sequence[str]) -> list[str]:
    """What each of these commands prints, in the tree; one process for all, as a start takes
    seconds.
    """
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "OVERHEAR_DATA": str(tree / "data"),
        "OVERHEAR_CACHE": str(tree / "cache"),
        "COLUMNS": "200",
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, json.dumps(lines)],
        capture_output=True,
        text=True,
        cwd=tree,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split("\0")[:-1]


def test_the_commands_know_them(tree: Path):
    listed, datasets, setting, planned = overhear(
        tree,
        ("studies", "--json"),
        ("data", "list"),
        ("settings", "objective.gamma"),
        ("train", *SMALL, "--dry-run", "--json"),
    )
    studies = [json.loads(line) for line in listed.splitlines()]
    assert "damped_width" in [study["name"] for study in studies]
    assert "birds" in datasets
    assert "of focal" in setting
    # 3x3 convolutions to 2, 4 and 6 channels with their normalization, and 3 classes of 6
    weights = 9 * (1 * 2 + 2 * 4 + 4 * 6) + 6 * 3
    assert json.loads(planned.splitlines()[0])["parameters"] == weights + 2 * (2 + 4 + 6) + 3


def test_they_train_and_are_drawn(tree: Path):
    train = "train", *SMALL, "--out", "results/birds"
    *_, said = overhear(
        tree,
        (*train, "sound.seconds=0.5"),
        (*train, "sound.seconds=1"),
        ("analyze", "results/birds", "--figure", "accuracy_vs_seconds"),
    )
    assert "accuracy_vs_seconds" in said
    assert (tree / "results/birds/figures/accuracy_vs_seconds.png").stat().st_size > 10_000
