"""`overhear erf --module`: the field of a person's own module, its weights, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

from overhear.commands.erf import erf
from overhear.library import effective_receptive_field
from scaling.receptive_field.modules import of_module

SOURCE = '''"""Two means; logits, and the map before them."""
from torch import nn


class {name}(nn.Module):
    """Means over side x side pixels, twice."""

    def __init__(self, classes: int, side: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
        self.second = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
        for layer in (self.first, self.second):
            nn.init.constant_(layer.weight, 1 / side**2)
        self.dense = nn.Linear(1, classes)

    def forward(self, x):
        last = self.second(self.first(x))
        return self.dense(last.mean(dim=(2, 3))), last
'''


@pytest.fixture
def means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working directory, under a name of its own as imports are cached."""
    name = f"means_{abs(hash(tmp_path)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(SOURCE.format(name="Means"))
    monkeypatch.chdir(tmp_path)
    return f"{name}:Means"


def test_the_field_of_a_module_is_its_kernel(means: str, capsys: pytest.CaptureFixture[str]):
    """Two means of three: a triangle over five pixels, whatever the inputs."""
    found = of_module(means, [], (12, 15), clips=3)
    triangle = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]) / 81
    np.testing.assert_allclose(found.map.values_FN[4:9, 5:10], triangle, rtol=1e-5)
    assert found.box == ((4, 8), (5, 9))
    assert (found.numbers.row, found.numbers.column, found.map.clips) == (6, 7, 3)
    assert of_module(means, ["side=5"], (12, 15), clips=1).box == ((2, 10), (3, 11))
    assert of_module(means, [], (12, 15), clips=1, layer="first").box == ((5, 7), (6, 8))
    erf(module=means, size="12x15", clips=3)
    said = capsys.readouterr().out
    assert "looks at       5 x 5 at most" in said
    assert "50 % in a square of 3, 5 % of the input" in said  # 49 of 81; 9 of 180 pixels
    (row,) = pd.read_csv(next(Path("figures").glob("*.csv"))).to_dict("records")
    assert (row["side20"], row["side50"], row["side99"], row["rows"]) == (3, 3, 5, 12)
    assert next(Path("figures").glob("*.png")).stat().st_size > 1000


def test_weights_are_those_of_the_file(means: str, tmp_path: Path):
    torch.manual_seed(0)
    state = {
        "first.weight": torch.zeros(1, 1, 3, 3),
        "second.weight": torch.ones(1, 1, 3, 3),
        "dense.weight": torch.ones(10, 1),
        "dense.bias": torch.ones(10),
    }
    state["first.weight"][0, 0, 1, 1] = 2
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state, file)
    found = of_module(means, [], (9, 9), clips=1, weights=str(file))
    assert found.box == ((3, 5), (3, 5))
    for changed, line in (
        ({"other": torch.ones(1)}, "has other, which .* has not$"),
        ({"dense.bias": torch.ones(3)}, r"dense\.bias differs from .*: \(3,\) and \(10,\)$"),
    ):
        safetensors.torch.save_file(state | changed, file)
        with pytest.raises(ValueError, match=f"^--weights .*{line}"):
            of_module(means, [], (9, 9), weights=str(file))
    safetensors.torch.save_file({"first.weight": state["first.weight"]}, file)
    with pytest.raises(ValueError, match=r"^--weights .* lacks second\.weight"):
        of_module(means, [], (9, 9), weights=str(file))
    file.write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"^--weights .*: "):
        of_module(means, [], (9, 9), weights=str(file))
    with pytest.raises(ValueError, match=r"only \.safetensors is read"):
        of_module(means, [], (9, 9), weights="w.pt")


def test_what_is_refused_is_said_in_a_line(means: str):
    module, _, _ = means.partition(":")
    for words, line in (
        ({"module": means}, "^--module .* needs the size of its input: add --input"),
        ({"module": "Means", "size": "9x9"}, "^--module Means: write module:Class"),
        ({"module": f"{module}:Meanz", "size": "9x9"}, r"^--module .*did you mean Means\?"),
        ({"module": means, "size": "9x9", "arg": ["sid=3"]}, r"^--arg sid: .*mean side\?"),
        (
            {"module": means, "size": "9x9", "arg": ["side=x"]},
            "^--arg side='x': must be a whole number",
        ),
        ({"module": means, "size": "9x9", "arg": ["side"]}, "^--arg 'side': write options as"),
        ({"module": means, "size": "9x9", "arg": ["side=0"]}, "raised ZeroDivisionError"),
        ({"module": means, "size": "9x9", "layer": "fist"}, r"did you mean first\?"),
        ({"module": means, "size": "9999x9999"}, "at most 16,777,216 pixels"),
        (
            {"results": "x", "module": means, "size": "9x9"},
            "takes no RESULTS: leave one of them out",
        ),
        ({"results": "x", "size": "9x9"}, "^--input needs --module"),
        ({}, "^name a results folder, or --module"),
    ):
        with pytest.raises(ValueError, match=line):
            erf(**words)


def test_the_public_function_takes_any_module():
    """A map, (logits, map) and pooled logits; what is none of these is refused."""

    class Both(nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3)), x

    class Neither(nn.Module):
        def forward(self, x):
            return {"x": x}

    batch = torch.ones(2, 1, 5, 7)
    expected = np.zeros((5, 7))
    expected[2, 3] = 1
    np.testing.assert_array_equal(effective_receptive_field(Both(), [batch]), expected)
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    np.testing.assert_allclose(effective_receptive_field(pooled, [batch]), 1 / 35, rtol=1e-6)
    with pytest.raises(ValueError, match=r"^the model puts out a dict: it must return a map"):
        effective_receptive_field(Neither(), [batch])
