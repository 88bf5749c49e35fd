"""VGGish: its published size, its embedding against a plain twin in the public axes, public weights
and the lines that refuse others.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from helpers import counted
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks import Network
from scaling.networks.cost import Axis, Field, any_size, count, field
from scaling.networks.modules.kernels import Convolution
from scaling.networks.modules.stochastic import reseed
from scaling.networks.modules.vggish import VGGishModule
from scaling.networks.modules.vggish_weights import convert, load
from scaling.networks.vggish import VGGish as Settings
from scaling.pruning.pruner import Pruner
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.training import classifier

PATCH = (64, 96)  # mel bands x frames: 0.96 s
# the public port's convolutions, by their places in its features: filters over W, pooled behind
CONVOLUTIONS = {0: (1, True), 3: (2, True), 6: (4, False), 8: (4, True), 11: (8, False)}
CONVOLUTIONS |= {13: (8, True)}
DENSE = {0: 64, 2: 64, 4: 2}  # of its embeddings: units over W


def settings(width: int = 2, **others: object) -> Network:
    return Settings(width=width, **others)  # type: ignore[arg-type]


def build(network: Network, size: tuple[int, int] = PATCH, seed: int = 0) -> VGGishModule:
    model = network.build(5, torch.Generator().manual_seed(seed), size=size)
    assert isinstance(model, VGGishModule)
    return model


def port(width: int, device: str = "cpu") -> dict[str, Tensor]:
    """A state dict as torchvggish has it: its names and shapes, random values."""
    draws = None if device == "meta" else torch.Generator().manual_seed(4)

    def drawn(*shape: int) -> Tensor:
        deviation = (2 / max(1, torch.Size(shape[1:]).numel())) ** 0.5
        return torch.randn(shape, generator=draws, device=device) * deviation

    tensors: dict[str, Tensor] = {}
    inputs = 1
    for index, (filters, _) in CONVOLUTIONS.items():
        tensors[f"features.{index}.weight"] = drawn(filters * width, inputs, 3, 3)
        tensors[f"features.{index}.bias"] = drawn(filters * width, 100)[:, 0].contiguous()
        inputs = filters * width
    inputs *= 6 * 4
    for index, units in DENSE.items():
        tensors[f"embeddings.{index}.weight"] = drawn(units * width, inputs)
        tensors[f"embeddings.{index}.bias"] = drawn(units * width, 100)[:, 0].contiguous()
        inputs = units * width
    return tensors


def twin(tensors: dict[str, Tensor], x_B1NF: Tensor, linear: bool = False) -> Tensor:
    """The public network over (frames, mel bands), written plainly: (B, E)."""
    x = x_B1NF
    for index, (_, pooled) in CONVOLUTIONS.items():
        weight, bias = (tensors[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
        x = functional.conv2d(x, weight, bias, padding=1).clamp(min=0)
        x = functional.max_pool2d(x, 2, 2) if pooled else x
    # (B, C, 6 frames, 4 mel bands): the channel goes innermost
    read = torch.stack([x[:, :, n, f] for n in range(6) for f in range(4)], dim=1).flatten(1)
    for index in DENSE:
        read = read @ tensors[f"embeddings.{index}.weight"].T + tensors[f"embeddings.{index}.bias"]
        if not (linear and index == 4):
            read = read.clamp(min=0)
    return read


@pytest.mark.parametrize(("classes", "more"), [(10, 1_290), (15, 1_935)])
def test_published_size(classes: int, more: int):
    cost = count(settings(64).layers(classes), PATCH)
    assert cost.parameters == 72_141_184 + more
    assert sum(part.parameters for part in cost.parts[:-1]) == 72_141_184
    assert cost.parts[-1].parameters == more
    assert float(f"{cost.macs / 1e9:.2g}") == 0.86
    assert [part.map for part in cost.parts if part.name.startswith("conv")][-1] == (4, 6)
    with torch.device("meta"):
        model = VGGishModule(settings(64).layers(classes), 0.0, 0.0, False, PATCH)
    assert sum(p.numel() for p in model.parameters()) == cost.parameters
    assert field(settings().layers(5)) == Field(Axis(70, 16, 7.5), Axis(70, 16, 7.5))
    assert not any_size(settings().layers(5))


@pytest.mark.parametrize(("size", "channels"), [(PATCH, 1), ((40, 101), 2)])
def test_costs_are_those_of_the_built_network(size: tuple[int, int], channels: int):
    network = settings(3)
    model = network.build(5, torch.Generator().manual_seed(0), channels, size)
    cost = count(network.layers(5, channels), size)
    output = counted(model, cost, size, channels)
    assert output.embedding_BE.shape == (1, 6)
    torch.testing.assert_close(output.logits_BY, model.dense(output.embedding_BE))
    assert output.features_BCFN.shape == (1, 24, size[0] // 16, size[1] // 16)


def saved(tensors: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(tensors, path)
    else:  # the public file is of 2020, before torch.save wrote archives
        torch.save(tensors, path, _use_new_zipfile_serialization=path.stem != "old")
    return path


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("name", ["old.pth", "new.pth", "vggish.safetensors"])
def test_public_weights_give_the_public_embedding(tmp_path: Path, name: str, linear: bool):
    """Frames and mel bands are exchanged, in the kernels and in what is flattened."""
    tensors, model = port(2), build(settings(2, linear_embedding=linear)).eval()
    before = model.dense.weight.clone()
    load(model, saved(tensors, tmp_path / name))
    x_BCFN = torch.randn(3, 1, *PATCH, generator=torch.Generator().manual_seed(1))
    output = model(x_BCFN)
    expected_BE = twin(tensors, x_BCFN.transpose(2, 3), linear)
    assert expected_BE.std() > 0.1
    assert (expected_BE < 0).any() == linear
    torch.testing.assert_close(output.embedding_BE, expected_BE, rtol=1e-4, atol=1e-5)
    assert torch.equal(model.dense.weight, before), "the classes are not of the file"


def test_full_width_fits_the_public_shapes():
    """Without the memory: no value is read."""
    with torch.device("meta"):
        model = VGGishModule(settings(64).layers(10), 0.0, 0.0, False, PATCH)
    tensors = port(64, "meta")
    assert tensors["embeddings.0.weight"].shape == (4096, 12_288)
    assert sum(tensor.numel() for tensor in tensors.values()) == 72_141_184
    converted = convert(tensors, model)
    own = {name: p.shape for name, p in model.named_parameters() if not name.startswith("dense.")}
    assert {name: tensor.shape for name, tensor in converted.items()} == own


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda _: port(1),
            r"features.0.weight is 1 x 1 x 3 x 3, where this network needs 2 x 1 x 3 x 3: the "
            r"public weights are those of network.width=64$",
        ),
        (
            lambda t: t | {"embeddings.2.weight": t["embeddings.2.weight"][:, 1:].contiguous()},
            r"embeddings.2.weight is 128 x 127, where this network needs 128 x 128: ",
        ),
        (
            without("features.8.bias"),
            r"features.8.bias is missing: this is not torchvggish \(it has features.0.weight\)$",
        ),
        (lambda t: {}, r"features.0.weight is missing: .* \(it has nothing\)$"),
        (
            lambda t: t | {"pproc.pca_means": torch.ones(2)},
            r"pproc.pca_means is unknown: leave only the network's own tensors$",
        ),
        (
            lambda t: t | {"features.0.running_mean": torch.ones(2)},
            r"features.0.running_mean is unknown",
        ),
        (lambda t: {"state_dict": t}, r"it does not map names to tensors: save a "),
        (lambda t: torch.ones(3), r"it does not map names to tensors: save a "),
        (
            lambda t: nn.Linear(2, 2),
            r"not a file of tensors \(UnpicklingError\): save a network's state_dict\(\) ",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], line: str
):
    model = build(settings(2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = tmp_path / "w.pth"
    torch.save(change(port(2)), path)
    with pytest.raises(ValueError, match=r"w\.pth: " + line) as error:
        load(model, path)
    assert "\n" not in str(error.value)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_what_is_no_file_of_tensors_is_refused(tmp_path: Path):
    model = build(settings(2))
    for name in ("no.pth", "no.safetensors"):
        with pytest.raises(ValueError, match=rf"{name}: no such file$"):
            load(model, tmp_path / name)
        (tmp_path / name).write_bytes(b"hello, this is text " * 20)
        with pytest.raises(ValueError, match=rf"{name}: not a file of tensors"):
            load(model, tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ValueError, match=rf"{name}: not a file of tensors"):
            load(model, tmp_path / name)


def test_weights_fit_one_size_of_input():
    """96 mel bands x 64 frames would have as many columns, in another order."""
    with pytest.raises(ValueError, match=r"map is 4 x 6: that of this input is 6 x 4$"):
        convert(port(2), build(settings(2), (96, 64)))
    convert(port(2), build(settings(2), (64, 97)))


def test_equal_seeds_start_alike_damped_or_not():
    first, damped, other = (
        build(settings()),
        build(settings(damping=0.9)),
        build(settings(), seed=1),
    )
    for (name, a), b, c in zip(
        first.named_parameters(), damped.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert torch.equal(a, c) == name.endswith("bias"), name
        assert a.any() != name.endswith("bias"), name
        if a.ndim > 1:
            taps = a[0, 0].numel()
            assert a.abs().max() <= (6 / (taps * (a.shape[0] + a.shape[1]))) ** 0.5
    kernels = [m for m in damped.modules() if isinstance(m, Convolution)]
    assert len(kernels) == 6
    for kernel in kernels:
        factors = torch.tensor([0.1, 1.0, 0.1])[:, None]
        torch.testing.assert_close(kernel.kernel, kernel.weight * factors)


def test_dropped_channels_come_from_the_stream():
    model, x = build(settings(4, dropout=0.5)).train(), torch.randn(2, 1, *PATCH)
    seen = []
    for seed in (1, 1, 2):
        reseed(model, lambda name, seed=seed: torch_stream(seed, name))
        seen.append(model(x).features_BCFN)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_pruned_and_damped(trial: Trial):
    changes = {
        "network.kind": "vggish",
        "network.depth": 0,
        "network.pointwise": 0,
        "network.width": 2,
        "network.damping": 0.5,
        "pruning.kind": "static",
        "pruning.target_width": 1,
    }
    pruned = changed(trial, changes)
    network = classifier.network(pruned, 5, torch_stream(0, "t"))
    target = sizes.kept_weights(pruned, 5)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    pruner = Pruner(pruned.pruning, pruned.seed, network, optimizer, target)
    parts = sizes.cost(pruned, 5).parts
    assert {name: layer.weight.numel() for name, layer in pruner.layers.items()} == {
        part.name: part.weights for part in parts
    }
    for _ in range(2):
        network(torch.randn(4, 1, *pruned.sound.shape)).logits_BY.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    kept = sum(int(layer.weight.count_nonzero()) for layer in pruner.layers.values())
    assert kept == pruner.kept == target
