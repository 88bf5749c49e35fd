"""Limits on what a trial may cost: refused before training, with the width that is within."""

from pathlib import Path

import pytest

from scaling.commands.train import train
from scaling.results import limits
from scaling.results.manifest import Price, price_unseen
from scaling.settings import Trial, changed
from scaling.settings.recipes import QUICKSTART
from sweeps.cli import sweep


def test_the_challenge_counts_normalization():
    """Its baseline: 61,148 parameters and 29,419,156 multiply-adds; ours exactly."""
    assert limits.parsed(["dcase"]) == {"parameters": 128_000, "dcase_macs": 30e6}
    tighter = limits.parsed(["parameters=5000", "dcase", "macs=1e6"])
    assert tighter == {"parameters": 5000, "dcase_macs": 30e6, "macs": 1e6}
    for word, line in (
        ("dcse", r"^--limit dcse: no such limit \(did you mean dcase\?\); or write COST=VALUE"),
        ("parametrs=3", r"^--limit parametrs=3: no such cost \(did you mean parameters\?\)$"),
        ("macs=many", "^--limit macs=many: a limit must be a number above 0"),
        ("macs=-3", "^--limit macs=-3: a limit must be a number above 0"),
    ):
        with pytest.raises(ValueError, match=line):
            limits.parsed([word])


def test_the_remedy_is_the_largest_width_within():
    most = {"parameters": 5000.0}
    wide = changed(QUICKSTART, {"network.width": 40})
    with pytest.raises(ValueError, match=r"^--limit: trial ") as caught:
        limits.check([changed(QUICKSTART, {"network.width": 2}), wide, QUICKSTART], most)
    said = str(caught.value)
    assert wide.id in said
    assert "limit 5,000 (and 1 of 3 trials more): network.width=" in said
    width = int(said.rpartition("network.width=")[2].split()[0])
    sizes = []
    for each in (width, width + 1):
        price = price_unseen(changed(QUICKSTART, {"network.width": each}))
        assert price is not None
        sizes.append(price.cost.parameters)
    assert sizes[0] <= 5000 < sizes[1]
    with pytest.raises(ValueError, match="no width is within: take fewer mel bands"):
        limits.check([wide], {"macs": 10.0})
    limits.check([wide], {})


def test_channels_that_are_cut_do_not_count():
    dense = changed(QUICKSTART, {"network.width": 12})
    limit = {"parameters": 6000.0}
    assert [cost for cost, _ in limits._over(_price(dense), limit)] == ["parameters"]
    cut = {"pruning.kind": "channels", "pruning.budget": "parameters", "pruning.limit": 5000}
    narrow = changed(dense, {**cut, "pruning.start": 2})
    assert limits._over(_price(narrow), limit) == []


def _price(trial: Trial) -> Price:
    found = price_unseen(trial)
    assert found is not None
    return found


def test_train_and_sweep_refuse_before_anything_runs(tmp_path: Path):
    for command, words in (
        (train, {"settings": ["network.width=64"]}),
        (sweep, {"study": "quickstart"}),
    ):
        with pytest.raises(ValueError, match=r"^--limit: trial .* parameters .*, limit 1,000"):
            command(**words, out=str(tmp_path / "r"), limit=["parameters=1000"])
    assert not (tmp_path / "r").exists()
