"""Pretrained encoders: EfficientAT's mn and PaSST against plain twins in their public names, files
of random numbers of their layouts, what is refused, frozen and fine-tuned, their front end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchaudio.compliance.kaldi import get_mel_banks

from scaling import machine
from scaling.networks import NETWORKS, Network
from scaling.networks.cost import count
from scaling.networks.modules import public_file
from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.stochastic import reseed
from scaling.results.manifest import price
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.results.weights import load as weights_of
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed
from scaling.settings.recipes import PASST_FEATURES
from scaling.sound.frontends import build as front_end
from scaling.sound.store import Store
from scaling.training.shape import shape

# W, parameters in millions and multiply-adds in billions of 10 s (128 bands x 1000 frames), 527
# classes: the table in EfficientAT's README
PUBLISHED = [
    (4, 0.983, 0.11),
    (5, 1.43, 0.16),
    (10, 4.88, 0.54),
    (20, 17.91, 2.06),
    (30, 39.09, 4.55),
    (40, 68.43, 8.03),
]
SIZE = (128, 70)
MN = {"kind": "mn", "width": 1}
PASST = {"kind": "passt", "width": 64, "blocks": 2, "longest": 100}


def settings(about: dict[str, Any]) -> Network:
    return NETWORKS[about["kind"]].model_validate(about)


def build(about: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """With statistics that are not those of the beginning."""
    model = settings(about).build(5, torch_stream(seed, "t"), size=SIZE)
    for name, held in model.named_buffers():
        if name.endswith("running_var"):
            held.uniform_(0.5, 2, generator=torch_stream(seed, name))
        elif name.endswith("running_mean"):
            held.normal_(0, 0.1, generator=torch_stream(seed, name))
    for name, each in model.named_parameters():
        if each.ndim == 1:
            each.data += 0.1 * torch.randn(each.shape, generator=torch_stream(seed, name))
    return model.eval()


def published(model: torch.nn.Module) -> dict[str, Tensor]:
    """A network's tensors as a public file has them, of 527 classes."""
    from scaling.networks.modules import mn_weights, passt_weights

    kind = "mn" if hasattr(model, "hidden") else "passt"
    layout = {"mn": mn_weights, "passt": passt_weights}[kind].layout(model)  # type: ignore[arg-type]
    own = model.state_dict()
    found = {theirs: own[ours].clone() for theirs, ours in layout.names.items()}
    units = own["classifier.weight"].shape[1]
    for name in {"mn": ("classifier.5",), "passt": ("head.1", "head_dist")}[kind]:
        found |= {f"{name}.weight": torch.ones(527, units), f"{name}.bias": torch.ones(527)}
    return found


def mn_twin(t: dict[str, Tensor], x: Tensor) -> Tensor:
    """The public mn, written plainly over its public names: the hidden layer (B, E)."""

    def convolved(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = t[f"{name}.0.weight"]
        groups = len(weight) if weight.shape[1] == 1 and "stem" != name != "features.0" else 1
        x = functional.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, groups)
        mean, var, scale, shift = (
            t[f"{name}.1.{each}"][:, None, None]
            for each in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * scale + shift

    def hard_swish(x: Tensor) -> Tensor:
        return x * (x + 3).clamp(0, 6) / 6

    x = hard_swish(convolved("features.0", x, 2))
    for number in range(1, 16):
        act = hard_swish if number >= 7 else lambda y: y.clamp(min=0)
        stride = 2 if number in (2, 4, 7, 13) else 1
        y, parts = x, {n.split(".")[3] for n in t if n.startswith(f"features.{number}.block.")}
        for place in range(len(parts)):
            name = f"features.{number}.block.{place}"
            if f"{name}.conc_se_layers.0.fc1.weight" in t:
                fc = f"{name}.conc_se_layers.0.fc"
                s = (y.mean(dim=(2, 3)) @ t[f"{fc}1.weight"].T + t[f"{fc}1.bias"]).clamp(min=0)
                s = (s @ t[f"{fc}2.weight"].T + t[f"{fc}2.bias"]).sigmoid()
                y = y * s[:, :, None, None]
                continue
            wide = t[f"{name}.0.weight"].shape[2] > 1
            y = convolved(name, y, stride if wide else 1)
            if place < len(parts) - 1:
                y = act(y)
        x = x + y if stride == 1 and x.shape == y.shape else y
    x = hard_swish(convolved("features.16", x))
    return hard_swish(x.mean(dim=(2, 3)) @ t["classifier.2.weight"].T + t["classifier.2.bias"])


def passt_twin(t: dict[str, Tensor], x: Tensor, stride: int = 10) -> Tensor:
    """The public PaSST, written plainly over its public names: the mean of its tokens (B, E)."""

    def normed(name: str, x: Tensor, eps: float = 1e-6) -> Tensor:
        mean, var = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True, correction=0)
        return (x - mean) / (var + eps).sqrt() * t[f"{name}.weight"] + t[f"{name}.bias"]

    def dense(name: str, x: Tensor) -> Tensor:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    weight, bias = (t[f"patch_embed.proj.{kind}"] for kind in ("weight", "bias"))
    x = functional.conv2d(x, weight, bias, stride)
    x = x + t["time_new_pos_embed"][..., : x.shape[3]] + t["freq_new_pos_embed"]
    tokens = torch.cat([t["cls_token"], t["dist_token"]], 1) + t["new_pos_embed"]
    x = torch.cat([tokens.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    for number in range(sum(name.endswith(".norm1.weight") for name in t)):
        block = f"blocks.{number}"
        q, k, v = dense(f"{block}.attn.qkv", normed(f"{block}.norm1", x)).chunk(3, dim=2)
        heads = [
            (a @ b.transpose(1, 2) / 64**0.5).softmax(dim=2) @ c
            for a, b, c in zip(q.split(64, 2), k.split(64, 2), v.split(64, 2), strict=True)
        ]
        x = x + dense(f"{block}.attn.proj", torch.cat(heads, dim=2))
        h = dense(f"{block}.mlp.fc1", normed(f"{block}.norm2", x))
        h = h * (1 + torch.erf(h / 2**0.5)) / 2
        x = x + dense(f"{block}.mlp.fc2", h)
    return normed("norm", x)[:, :2].mean(dim=1)


# Sizes


def test_published_sizes():
    """EfficientAT's own table; PaSST: 86 M (Koutini et al. 2022), with its second classifier."""
    for width, millions, billions in PUBLISHED:
        cost = count(settings({"kind": "mn", "width": width}).layers(527), (128, 1000))
        digits = 3 if millions < 1 else 2
        # 983,599 parameters are 0.983 M there: cut, not rounded
        assert abs(cost.parameters / 1e6 - millions) < 10**-digits
        assert round(cost.macs / 1e9, 2) == billions
        assert cost.receptive_field is None
    cost = count(settings({"kind": "passt", "width": 768}).layers(527), (128, 998))
    assert cost.parameters == 85_748_495
    assert round((cost.parameters + 768 * 527 + 527) / 1e6) == 86
    assert cost.dcase_macs is None


@pytest.mark.parametrize("about", [MN, {**MN, "width": 3}, PASST], ids=["mn1", "mn3", "passt"])
def test_costs_are_those_of_the_built_network(about: dict[str, Any]):
    network = settings(about)
    cost, model = count(network.layers(5), SIZE), build(about)
    assert sum(each.numel() for each in model.parameters()) == cost.parameters
    layers = {name: each for name, each in model.named_modules() if isinstance(each, Prunable)}
    assert {n: each.weight.numel() for n, each in layers.items()} == {
        part.name: part.weights for part in cost.parts
    }
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, 1, *SIZE))
    assert counter.get_total_flops() == 2 * cost.macs


# Files of random numbers of the public layouts


@pytest.mark.parametrize("about", [MN, PASST, {**PASST, "width": 128, "stride": 16}])
@pytest.mark.parametrize("name", ["public.pt", "public.safetensors"])
def test_public_weights_give_the_public_embedding(tmp_path: Path, about, name: str):
    there, here = build(about, 1), build(about, 2)
    found, before = published(there), here.state_dict()["classifier.weight"].clone()
    if name.endswith("pt"):
        torch.save(found, tmp_path / name)
    else:
        safetensors.torch.save_file(found, tmp_path / name)
    settings(about).load_public(here, tmp_path / name)
    x = torch.randn(3, 1, *SIZE, generator=torch_stream(0, "x"))
    twin = (
        mn_twin(found, x)
        if about["kind"] == "mn"
        else passt_twin(found, x, about.get("stride", 10))
    )
    said = here.eval()(x)
    assert twin.std() > 1e-3
    torch.testing.assert_close(said.embedding_BE, twin, rtol=1e-4, atol=1e-5)
    assert torch.equal(here.get_parameter("classifier.weight"), before), "of the classes, new"


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: {n: t for n, t in tensors.items() if n != name}


WRONG = [
    (
        MN,
        lambda _: published(build({**MN, "width": 2})),
        r"features.16.0.weight is 192 x 32 x 1 x 1, network.kind=mn with "
        r"network.width=1 needs .*: the file seems to be EfficientAT's with network.width=2$",
    ),
    (
        MN,
        lambda _: published(build(PASST)),
        r"features.0.0.weight is missing: network.kind=mn with network.width=1 needs it, the file "
        r"seems to be PaSST with network.width=64, network.blocks=2, network.stride=10$",
    ),
    (
        PASST,
        lambda _: published(build(MN)),
        r"cls_token is missing: network.kind=passt with .*network.longest=100 needs it, the file "
        r"seems to be EfficientAT's with network.width=1$",
    ),
    (
        PASST,
        lambda _: published(build({**PASST, "longest": 200})),
        r"time_new_pos_embed is 1 x 64 x 1 x 20, network.kind=passt .* needs 1 x 64 x 1 x 10: ",
    ),
    (
        PASST,
        lambda _: published(build({**PASST, "blocks": 3})),
        r"network.blocks=2, .* has no .*blocks.2.norm1.weight: .* network.blocks=3, ",
    ),
    (MN, without("features.0.1.running_var"), r"features.0.1.running_var is missing: "),
    (
        MN,
        lambda t: (
            {n: v for n, v in t.items() if "classifier" not in n}
            | {"classifier.0.weight": torch.ones(527, 96, 1, 1)}
        ),
        r"classifier.2.weight is missing: .* EfficientAT's, with another head than a hidden layer$",
    ),
    (
        MN,
        lambda t: t | {"features.0.0.weight": t["features.0.0.weight"] * torch.nan},
        r"features.0.0.weight contains NaN or infinite numbers: fetch the file again$",
    ),
    (
        PASST,
        lambda t: {"features.0.weight": torch.ones(1), "embeddings.0.weight": torch.ones(1)},
        r"cls_token is missing: .* the file seems to be torchvggish$",
    ),
    (
        PASST,
        lambda t: {"a\n\x1b[31mb": torch.ones(1)},
        r"the file is of no layout that is known here \(it has a .*b\)$",
    ),
    (MN, lambda t: {"state_dict": t}, r"it does not map names to tensors: save a "),
    (MN, lambda t: torch.nn.Linear(2, 2), r"not a file of tensors \(UnpicklingError\): save a"),
]


@pytest.mark.parametrize(("about", "change", "line"), WRONG)
def test_other_files_are_refused_in_one_line(tmp_path: Path, about, change, line: str):
    model = build(about)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = tmp_path / "w.pt"
    torch.save(change(published(model)), path)
    with pytest.raises(ValueError, match=r"w\.pt: .*" + line) as error:
        settings(about).load_public(model, path)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_what_unpacks_to_more_than_any_such_file_is_not_read(tmp_path: Path, monkeypatch):
    """An archive says how much it holds before anything is read."""
    torch.save({"a": torch.zeros(1000)}, tmp_path / "w.pt")
    monkeypatch.setattr(public_file, "LARGEST", 3999)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ValueError, match=r"w\.pt: 0\.0 GiB of tensors: public weights have at m"):
        settings(MN).load_public(build(MN), tmp_path / "w.pt")


# The front end


def test_the_front_end_is_the_public_one():
    """Against torch and Kaldi's bands: pre-emphasis without the first sample, a symmetric Hann
    window of 800 in an FFT of 1024, ln(power + 1e-5), (x + 4.5) / 5.
    """
    features = PASST_FEATURES
    waves = 0.1 * torch.randn(3, 32_000, generator=torch_stream(0, "w"))
    waves[1] *= torch.linspace(0, 1, 32_000) ** 4
    waves[2, 100:] = 0
    emphasized = functional.conv1d(waves[:, None], torch.tensor([[[-0.97, 1.0]]]))[:, 0].double()
    window = torch.hann_window(800, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(emphasized, 1024, 320, 800, window, center=True, return_complex=True)
    bands, _ = get_mel_banks(128, 1024, 32_000, 0.0, 15_000.0, 100.0, -500.0, 1.0)
    power = functional.pad(bands, (0, 1)).double() @ spectrum.abs().square()
    expected = ((power + 1e-5).log() + 4.5) / 5
    module = front_end(features, 32_000)
    found = module(waves)
    assert found.shape == expected.shape == (3, 128, 100)
    assert (found - expected).abs().max() < 2e-4
    plain = module(waves.clone().requires_grad_())
    assert (plain - found).abs().max() < 1e-4


# Trials


def small(trial: Trial, about: dict[str, Any], **others: object) -> Trial:
    """A little network on the synthetic scenes, in the front end of the public weights."""
    found = {
        "sound.features.kind": "passt",
        "sound.features.window": 800,
        "sound.features.hop": 320,
        "sound.features.mels": 128 if about["kind"] == "passt" else 32,
        "sound.features.range_db": 0.0,
        "sound.features.preemphasis": 0.97,
        "network.depth": 0,
        "network.pointwise": 0,
        **{f"network.{name}": value for name, value in about.items()},
        "sound.classes": "field,street",
        "split.clips_per_class": 2,
        "training.epochs": 1,
        "training.warmup": 0,
        "training.partial": True,
        "transfer.weights": "public.pt",
    }
    return changed(trial, found | others)


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict], dict]:
    """Writes a file of random numbers below the data root."""
    (tmp_path / "data" / "weights").mkdir(parents=True)
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "data"))

    def written(about: dict[str, Any]) -> dict[str, Tensor]:
        found = published(build(about, 3))
        torch.save(found, tmp_path / "data" / "weights" / "public.pt")
        return found

    return written


def trained(trial: Trial, store: Store, here: machine.Machine, out: Path) -> dict[str, Tensor]:
    results = Results(out)
    *_, told = run_trial(trial, store, here, results)
    assert told.error is None, told.error
    found = weights_of(trial.id, results)
    assert found is not None
    return found


@pytest.mark.parametrize("about", [MN, PASST], ids=["mn", "passt"])
def test_frozen_and_fine_tuned(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, public, about
):
    """Frozen, nothing but the last layer moves, statistics neither; else all of it does."""
    found = public(about)
    frozen = small(trial, about, **{"transfer.frozen": True})
    tuned = small(trial, about, **{"transfer.rate": 0.1})
    assert len({frozen.id, tuned.id}) == 2
    assert shape(frozen, 8) is None
    assert shape(tuned, 8) is None
    held, moved = (trained(each, store, here, tmp_path / "r") for each in (frozen, tuned))
    names = {"mn": "features.0.0.weight", "passt": "blocks.1.mlp.fc2.weight"}
    ours = {"mn": "stem.weight", "passt": "block2.shrink.weight"}[about["kind"]]
    assert torch.equal(held[f"network.{ours}"], found[names[about["kind"]]])
    assert not torch.equal(moved[f"network.{ours}"], found[names[about["kind"]]])
    source = build(about, 3).state_dict()
    changed_names = {
        name for name, value in source.items() if not torch.equal(value, held[f"network.{name}"])
    }
    assert changed_names == {"classifier.weight", "classifier.bias"}
    still = {n for n, value in source.items() if torch.equal(value, moved[f"network.{n}"])}
    assert not still, still
    assert torch.equal(held["standardize.std_F"], torch.ones_like(held["standardize.std_F"]))


def test_shorter_clips_begin_anywhere_and_patchout_leaves_rows_out():
    """Drawn once a step from the network's stream; in evaluation all patches, from the first."""
    about = {**PASST, "patchout_bands": 3, "patchout_frames": 2}
    model, x = build(about).train(), torch.randn(2, 1, *SIZE)
    seen = []
    for seed in (1, 1, 2):
        reseed(model, lambda name, seed=seed: torch_stream(seed, name))
        seen.append(model(x))
    assert torch.equal(seen[0].logits_BY, seen[1].logits_BY)
    assert not torch.equal(seen[0].logits_BY, seen[2].logits_BY)
    assert seen[0].features_BCFN.shape == (2, 64, 12 - 3, 6 - 2)
    assert model.eval()(x).features_BCFN.shape == (2, 64, 12, 6)


@pytest.mark.parametrize(
    ("about", "others", "line"),
    [
        (
            PASST,
            {"sound.features.mels": 64},
            r"sound.features.mels=64: network.kind=passt has positions for 128: set sound",
        ),
        (
            {**PASST, "longest": 16},
            {},
            r"network.longest=16: clips have 50 frames, network.kind=passt takes 16 to about 16: ",
        ),
        (
            PASST,
            {"network.patchout_bands": 11, "network.patchout_frames": 4},
            r"network.patchout_frames=4: at most 3 of the 4 that there are$",
        ),
        (PASST, {"network.width": 100}, r"width=100: network.kind=passt has widths .* of 64, as"),
        (
            MN,
            {"sound.features.kind": "log_mel"},
            r"transfer.weights=public.pt: they hear sound.features.kind=passt, not log_mel: set ",
        ),
        (MN, {"sound.features.range_db": 80}, r"kind=passt has no range_db, it adds 0.00001 befo"),
        (
            MN,
            {"transfer.frozen": True, "network.dropout": 0.2},
            r"network.dropout=0.2 changes nothing: transfer.frozen=true drops nothing",
        ),
        (
            MN,
            {"network.parametrization": "mup", "transfer.weights": ""},
            r"network.parametrization=mup: network.kind=mn has no width to scale$",
        ),
    ],
)
def test_settings_that_do_not_fit(trial: Trial, about, others: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as error:
        small(trial, about, **others)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("about", [MN, PASST], ids=["mn", "passt"])
def test_channels_cannot_be_cut(trial: Trial, about):
    cut = {"pruning.kind": "channels", "pruning.keep": 0.5, "pruning.start": 1}
    cut |= {"training.epochs": 3}
    line = rf"pruning.kind=channels: network.kind={about['kind']} .*: pruning.kind=static or mag"
    with pytest.raises(ValueError, match=line):
        price(small(trial, about, **cut), 5)
