"""Where a trial runs: processor, precision, threads. Recorded with the outcome, never part of a
trial's identity.
"""

import gc
import importlib.metadata
import json
import os
import platform
import re
import resource
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache

import torch

# What CUDA and its libraries say of an error after which a process cannot use its GPU again: a
# failed kernel is reported at every later call. torch raises AcceleratorError for that, and
# RuntimeError with these words from its libraries.
BROKEN = ("AcceleratorError:", "CUDA error", "cuDNN error", "No CUDA GPUs are available")
ASSERTED = "device-side assert"  # what a trial's own code asks for, wherever it runs
# and of memory that is short, by which nothing is broken
SHORT = ("CUDA error: out of memory", "_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED")
LIBRARIES = ("torch", "torchaudio", "nnAudio", "numpy", "soxr", "overhear-study")


class LostGpu(ValueError):
    """A GPU that stopped answering this process. It is no trial's failure: another process
    continues each one from its checkpoint.
    """


def broken(error: str | None) -> bool:
    """Whether an error, by its kind and its words, means that this process cannot use its GPU
    again.
    """
    if error is None or any(words in error for words in SHORT):
        return False
    return any(words in error for words in BROKEN)


def short(error: BaseException) -> bool:
    """Whether an error is a GPU's lack of memory, of torch's own or of a library of CUDA."""
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in SHORT)


def lost(error: BaseException) -> str | None:
    """What a GPU that stopped answering said, in one line; None where it did answer, or where the
    code that it ran asked for its end.
    """
    told = f"{type(error).__name__}: {error}"
    return told.splitlines()[0][:200] if broken(told) and ASSERTED not in told else None


def check_answers(machine: "Machine") -> None:
    """Raises LostGpu where a GPU cannot add one to nothing."""
    if machine.device.type != "cuda":
        return
    try:
        torch.zeros(1, device=machine.device).add_(1).item()
    except Exception as error:
        if short(error):  # of what others take: a trial finds out
            return
        raise LostGpu(lost(error) or f"{type(error).__name__}: {error}".splitlines()[0]) from error


@dataclass(frozen=True)
class Machine:
    """A processor and how it computes."""

    device: torch.device
    precision: torch.dtype  # of convolutions and matrix products: float32, or bfloat16 by autocast
    threads: int  # of torch on the CPU
    frontend: str = "auto"  # one of scaling.sound.frontends.BACKENDS, or the usual one
    # whether steps are captured (scaling.training.capture): auto: on a GPU; off; twin: everywhere,
    # which on a CPU computes what a GPU would capture
    capture: str = "auto"

    def autocast(self) -> AbstractContextManager[None]:
        """What the network runs under."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == torch.bfloat16
        )

    @property
    def name(self) -> str:
        """`cpu`, or the GPU's name."""
        return "cpu" if self.device.type == "cpu" else torch.cuda.get_device_name(self.device)

    @property
    def precision_name(self) -> str:
        """`float32` or `bfloat16`."""
        return str(self.precision).removeprefix("torch.")

    def peak_memory(self) -> int:
        """Peak memory so far, bytes: of the GPU's allocations, or of this process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @property
    def captures(self) -> bool:
        """Whether steps of training are to be captured, where they can be."""
        return self.capture == "twin" or (self.capture == "auto" and self.device.type == "cuda")

    @property
    def checks_memory(self) -> bool:
        """Whether a dry step tells before the first epoch whether steps fit."""
        return self.device.type == "cuda" or self.capture == "twin"

    def wait(self) -> None:
        """Until everything asked of a GPU is done; a processor has done it already."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def reset(self) -> None:
        """Undo what an earlier trial may have left in this process: threads, generators, modes,
        memory.
        """
        if self.threads != torch.get_num_threads():
            torch.set_num_threads(self.threads)
        torch.manual_seed(0)  # no draw of ours uses it; whatever does, starts alike in every trial
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        gc.collect()
        _freeze(len(sys.modules))
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


@cache
def _freeze(_modules: int) -> None:
    """Once for each number of modules: what imports left is not looked through after every trial,
    which takes longer than a small one.
    """
    gc.freeze()


def here(
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    frontend: str = "auto",
    capture: str = "auto",
) -> Machine:
    """This machine: a GPU where there is one, bfloat16 where the processor computes it natively,
    all its threads.

    Raises ValueError for a device that is not there, a precision or way of `capture` that is not
    known, or more threads than there are processors.
    """
    check_names(device, precision, capture)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        count = torch.cuda.device_count()
        if not count or not torch.cuda.is_available():
            raise ValueError(f"device={device}: torch finds no GPU on this machine: use cpu")
        number = int(device.partition(":")[2] or 0)
        if number >= count:
            gpus = f"{count} GPU{'s' if count > 1 else ''}, the last is cuda:{count - 1}"
            raise ValueError(f"device={device}: torch finds {gpus}: name that or a lower number")
    chosen = torch.device(device)
    if precision == "auto":
        precision = "bfloat16" if _native_bfloat16(chosen) else "float32"
    processors = os.cpu_count() or 1
    if threads < 0:
        raise ValueError(f"threads={threads}: must be at least 1, or 0 for all processors")
    if threads > processors:
        raise ValueError(
            f"threads={threads}: this machine has {processors} processors: ask for fewer, or 0 for "
            "all"
        )
    threads = threads or torch.get_num_threads()
    return Machine(chosen, getattr(torch, precision), threads, frontend, capture)


def check_names(device: str, precision: str, capture: str = "auto") -> None:
    """Raises ValueError for a device, precision or way to capture that no machine has."""
    if not re.fullmatch(r"auto|cpu|cuda(:(0|[1-9][0-9]{0,2}))?", device):
        raise ValueError(f"device={device}: must be auto, cpu, cuda or cuda:N")
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision={precision}: must be auto, float32 or bfloat16")
    if capture not in ("auto", "off"):
        raise ValueError(f"--capture {capture[:20]}: must be auto or off")


def _native_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware; emulated, it is slower than
    float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@cache
def versions(frontend: str = "auto") -> str:
    """Python and library versions as JSON, for the outcome; and the front end's backend, where one
    was named.
    """
    found = {"python": platform.python_version()}
    if frontend != "auto":
        found["frontend_backend"] = frontend
    for library in LIBRARIES:
        try:
            version = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout that is not installed
        found[library.removesuffix("-study")] = version  # records keep the name they always had
    return json.dumps(found)
