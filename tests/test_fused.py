"""The fused pass of a front end: its kernels, interpreted on a CPU, equal the plain path.

Triton interprets a kernel only where it was imported so: one process of its own computes all.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import soxr
import torch

from scaling.settings import Features
from scaling.sound import frontends
from scaling.sound.augment import jitter
from scaling.sound.frontends import fused
from scaling.sound.frontends.overhear import Overhear
from scaling.sound.frontends.plain import Plain

RATE = 22050
CLIPS = ("1-100032-A-0.ogg", "2-140147-A-38.ogg")  # with digital silence
KINDS = ("log_mel", "perceptual")
PAPER = {"window": 2048, "hop": 512, "mels": 256, "range_db": 80}
# Sizes that no block divides: an odd window, 33 bands, 20 frames; and zeros after the window.
ODD = {"window": 401, "hop": 97, "mels": 33, "low": 50.0, "high": 7000.0, "floor": 1e-9}
CASES = {
    **{f"paper {kind}": PAPER | {"kind": kind} for kind in KINDS},
    **{f"odd {kind}": ODD | {"kind": kind} for kind in KINDS},
    **{f"ranged {kind}": ODD | {"kind": kind, "fft": 600, "range_db": 30} for kind in KINDS},
}

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


def front(name: str) -> Overhear:
    found = frontends.build(Features(**CASES[name]), RATE)
    assert isinstance(found, Overhear)
    return found


def waves(name: str) -> torch.Tensor:
    """Real clips that fall silent, or one clip loud, quiet, silent, and with a sample missing."""
    if name.startswith("paper"):
        folder = Path(os.environ.get("OVERHEAR_DATA", "data")) / "ESC-10" / "audio"
        found = [soundfile.read(folder / each, dtype="float32") for each in CLIPS]
        heard = [soxr.resample(samples, rate, RATE)[10000:14000] for samples, rate in found]
        return torch.stack([torch.from_numpy(each) for each in heard])
    noise_T = 0.1 * torch.randn(1900, generator=torch.Generator().manual_seed(0))
    noise_T[1200:] *= 1e-4
    waves_BT = noise_T * torch.tensor([[1.0], [1e-3], [0.0], [1.0]])
    waves_BT[3, 700] = torch.nan
    return waves_BT


def case(name: str) -> tuple[Overhear, torch.Tensor]:
    return front(name), waves(name)


if __name__ == "__main__":  # the process that interprets
    fused.FRAMES = 16  # several blocks of a few frames
    computed = {name: fused.launched(*case(name)) for name in sys.argv[2:]}
    torch.save(computed, sys.argv[1])


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """By case, features as Triton's kernels compute them."""
    out = tmp_path_factory.mktemp("fused") / "features.pt"
    there = (Path(os.environ.get("OVERHEAR_DATA", "data")) / "ESC-10").is_dir()
    names = [name for name in CASES if there or not name.startswith("paper")]
    alone = {
        "TRITON_INTERPRET": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    environment = os.environ | alone
    subprocess.run([sys.executable, __file__, str(out), *names], check=True, env=environment)
    found: dict[str, torch.Tensor] = torch.load(out)
    return found


@needs_triton
@pytest.mark.parametrize("name", CASES)
def test_kernels_equal_the_plain_path(name, interpreted, request):
    """To a tenth of what the plain path may be off; also each clip's floor, and where NaN is."""
    if name.startswith("paper"):
        request.getfixturevalue("esc10")
    module, waves_BT = case(name)
    plain_BFN = Plain.compute(module, waves_BT)
    torch.testing.assert_close(interpreted[name], plain_BFN, atol=2e-5, rtol=0, equal_nan=True)
    if not name.startswith("paper"):
        assert plain_BFN[:3].isfinite().all()
        missing_N = plain_BFN[3].isnan().any(dim=0)
        assert missing_N.all() if name.startswith("ranged") else 0 < missing_N.sum() < 10


class Launched:
    """In the place of a kernel: what it is launched with."""

    def __getitem__(self, grid: tuple[int, ...]) -> "Launched":
        return self

    def __call__(self, *given: object, **constants: object) -> None:
        self.given, self.constants = given, constants


@needs_triton
def test_kernels_compile_once_for_a_gpu_that_is_not_here(monkeypatch, tmp_path):
    """To machine code of an H100, with the arguments that they are launched with; whoever compiles
    them later, as another process would, has it from the cache.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import mangle_type

    from scaling.sound.frontends import fused_kernels

    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path))
    monkeypatch.setenv("TRITON_CACHE_DIR", "")  # so that what a launch sets goes with the test
    monkeypatch.delenv("TRITON_CACHE_DIR")
    launches = []
    for kind, other in (("log_mel", "limit_range"), ("perceptual", "find_loudest")):
        launched = {name: Launched() for name in ("cut_frames", "sum_bands", other)}
        monkeypatch.setattr(fused, "import_module", lambda _, by=launched: SimpleNamespace(**by))
        fused.launched(front(f"paper {kind}"), torch.zeros(1, 4000))
        launches += launched.items()
    for name, by in launches[1:]:  # frames are cut alike
        kernel = getattr(fused_kernels, name)
        values = dict(zip(kernel.arg_names, by.given, strict=False)) | by.constants
        assert list(values) == kernel.arg_names
        types = {k: "constexpr" if k in by.constants else mangle_type(v) for k, v in values.items()}
        constants = {(kernel.arg_names.index(k),): v for k, v in by.constants.items()}
        source, target = ASTSource(kernel, types, constants), GPUTarget("cuda", 90, 32)
        assert triton.compile(source, target).asm["cubin"]
        for kept in (tmp_path / "triton").rglob("*.cubin"):
            kept.write_bytes(b"kept")
        assert triton.compile(source, target).asm["cubin"] == b"kept"


def test_packed_bands_are_the_bands():
    """Also where they were moved."""
    module = front("odd log_mel")
    other = jitter.moved(module, module.features.model_copy(update={"high": 6500.0}))
    for each in (module, other):
        bands_FQ = torch.zeros(48, each.mel_FQ.shape[1] + fused.BINS)
        for group, (first, tiles, row) in enumerate(each.get_buffer("groups_G3").tolist()):
            packed_KF = each.get_buffer("weights_KF")[row : row + tiles * fused.BINS]
            bands_FQ[group * 16 : group * 16 + 16, first : first + len(packed_KF)] = packed_KF.T
        assert torch.equal(bands_FQ[:33, : each.mel_FQ.shape[1]], each.mel_FQ)
        assert bands_FQ.count_nonzero() == each.mel_FQ.count_nonzero()
    assert not torch.equal(module.mel_FQ, other.mel_FQ)


@pytest.mark.parametrize(
    ("launched", "line"),
    [
        (lambda *_: 1 / 0, "^kind=log_mel is computed without its fused pass: ZeroDivisionError: "),
        (lambda *_: importlib.import_module("no_such"), "fused pass: Triton is not installed$"),
        (
            lambda _, waves_BT: torch.zeros(2, 33, 20),
            "fused pass: on noise it is [0-9.e+]+ dB off$",
        ),
    ],
)
def test_what_triton_cannot_compute_the_plain_path_does(launched, line, monkeypatch):
    monkeypatch.setattr(fused, "_agree", {})
    monkeypatch.setattr(fused, "launched", launched)
    module, waves_BT = case("ranged log_mel")
    plain_BFN = Plain.compute(module, waves_BT[:3])
    with pytest.warns(UserWarning, match=line) as told:
        found_BFN = fused.fused(module, waves_BT[:3], super(Overhear, module).compute)
    assert torch.equal(found_BFN, plain_BFN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert torch.equal(fused.fused(module, waves_BT[:3], module.compute), module(waves_BT[:3]))
    assert len(told) == 1


def test_a_full_gpu_is_not_the_kernels_fault(monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(fused, "_agree", {})
    monkeypatch.setattr(fused, "launched", full)
    module, waves_BT = case("ranged log_mel")
    with pytest.raises(torch.OutOfMemoryError):
        fused.fused(module, waves_BT, module.compute)
    assert fused._agree == {}


def test_what_agrees_is_fused_from_then_on(monkeypatch):
    calls: list[int] = []

    def launched(module: Plain, waves_BT: torch.Tensor) -> torch.Tensor:
        calls.append(len(waves_BT))
        return Plain.compute(module, waves_BT)

    monkeypatch.setattr(fused, "_agree", {})
    monkeypatch.setattr(fused, "launched", launched)
    module, waves_BT = case("ranged perceptual")
    for clips in (3, 1):
        fused.fused(module, waves_BT[:clips], super(Overhear, module).compute)
    assert calls == [2, 3, 1]  # noise first, once


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True


def test_a_gpu_is_fused_unless_filters_or_waves_want_a_gradient(monkeypatch):
    monkeypatch.setattr("scaling.sound.frontends.overhear.fused", lambda *_: "fused")
    module, waves_BT = case("odd log_mel")
    there_BT = waves_BT[:1].as_subclass(OnGpu)
    assert module.compute(there_BT) == "fused"
    assert module.compute(waves_BT[:1]) != "fused"
    assert module.compute(there_BT.clone().requires_grad_()).requires_grad
    learns = frontends.build(Features(**ODD, kind="log_mel", trainable="mel"), RATE)
    assert learns.compute(there_BT).requires_grad
