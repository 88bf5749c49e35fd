"""What a GPU gives to a study: ceilings, front ends, trials alone and side by side, a real study.

One call of at most 8 minutes on a data-centre GPU. Of what Overhear needs, Ray and nnAudio may be
missing: trials run without them (benchmarks/README.md has all calls for a machine that is lent
without a network). Each figure stands beside what one would write instead, measured in the same
run: the plain float32 loop and plain autocast on features at hand, torchaudio's mel spectrogram,
our own steps uncaptured, the same trials one after the other, uncaptured. ESC-10 is heard where
OVERHEAR_DATA has it, else synthetic sounds. What matters most comes first; each part prints its
figures when it has them, and one that fails, or for which no time is left, costs its own alone.
Where no GPU is, it says so, and exits 0; `--device cpu --quick` runs the same code small, on
synthetic sounds alone, in about a minute of two cores.
"""

import argparse
import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any, NamedTuple

import gpu_front_ends
import numpy as np
import stacking
import torch
from common import Result, report, rounds, timed
from step import step

from scaling import machine
from scaling.machine import Machine
from scaling.networks.cp_resnet import CPResNet
from scaling.results.records import Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed, sizes
from scaling.settings.recipes import ESC10, QUICKSTART
from scaling.sound import datasets, prepare
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.profile import ceiling
from scaling.training.session import Session
from scaling.training.shape import groups, shape
from sweeps import study

PAPER = ("width", "depth", "pointwise", "joint", "random_labels", "erf")
TAU2020 = 13_962  # training clips (facts, cp_resnet)
ALONE = {(32, 10): (4.0, 2.8), (32, 64): (None, 1.8)}  # over plain float32, over plain autocast
OF_CEILING = 0.6  # aimed at, at W = 512
TIME = 420.0  # seconds after which no part begins; the longest, the study, comes early


class Scale(NamedTuple):
    """How much of everything is measured."""

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    batches: tuple[int, ...] = (10, 64)
    stacked: tuple[int, ...] = (8, 16, 32)
    trials: tuple[int, ...] = (1, 4, 16, 40)
    clips: int = 32  # of each class, as ESC-10 has
    repeats: int = 5
    front: tuple[int, int] = (gpu_front_ends.CLIPS, gpu_front_ends.SAMPLES)
    study: tuple[int, ...] = (8, 16, 32, 64)  # widths
    seeds: int = 3
    folds: int = 5
    epochs: int = 30
    stack: int = 40  # trials of the study side by side
    real: bool = True  # whether the study hears ESC-10, where it is


QUICK = Scale((2,), (4,), (2,), (2,), 2, 2, (2, 22_050), (2,), 1, 1, 1, 2, real=False)


def ceilings(here: Machine) -> list[Result]:
    """Print what the card can do at most, beside which nothing is compared."""
    source = torch.ones(2**26, device=here.device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        here.wait()

    seconds = min(rounds({"copy": copy}, 3)["copy"])
    moved = 2 * source.numel() * source.element_size() / seconds
    print(
        f"ceilings: {ceiling(here) / 1e12:,.1f} TFLOP/s of {here.precision_name} products, "
        f"{moved / 1e9:,.0f} GB/s of copying"
    )
    return []


class Alone(NamedTuple):
    """One trial at a time."""

    macs: int
    batch: int
    rate: float  # clips a second


def alone(
    here: Machine, scale: Scale, width: int, batch: int, found: list[Alone]
) -> Iterator[Result]:
    """Epochs of one trial, clips to optimizer, beside plain loops on features at hand."""
    plain = machine.here(str(here.device), "float32")
    count = max(scale.clips, -(-batch // 10))
    (trial,) = stacking.trials(width, 1, batch, count, 10_000)
    store = packed([trial])
    sessions = [
        Session(trial, Listener(trial, store, how), how, None, None)
        for how in (here, replace(here, capture="off"))
    ]
    session = sessions[0]
    network = trial.network
    assert isinstance(network, CPResNet)
    makes = partial(step, network, batch=batch, shape=trial.sound.shape)
    peers = {"float32": makes(plain, plain=True), "autocast": makes(here, plain=False)}
    calls: dict[str, Callable[[], object]] = {"ours": partial(epoch, session)}
    calls["uncaptured"] = partial(epoch, sessions[1])
    calls |= {name: partial(several, call, session.count) for name, call in peers.items()}
    seconds = rounds(calls, scale.repeats)
    clips = session.count * batch
    rate = clips / float(np.median(seconds["ours"]))
    macs = sizes.cost(trial, 10).macs
    found.append(Alone(macs, batch, rate))
    share = 6 * macs * rate / ceiling(here)
    print(f"W = {width}, batch {batch}: {rate:,.0f} clips/s, {share:.1%} of the ceiling")
    over_float32, over_autocast = ALONE.get((width, batch), (None, None))
    named = f"W = {width}, batch {batch}, an epoch against"
    yield timed(f"{named} float32", seconds["ours"], seconds["float32"], over_float32)
    yield timed(f"{named} autocast", seconds["ours"], seconds["autocast"], over_autocast)
    if session.replay and not session.replay.broken:
        yield timed(f"{named} ours uncaptured", seconds["ours"], seconds["uncaptured"])
    if width == max(scale.widths):
        named = f"W = {width}, batch {batch}, share of the ceiling"
        yield Result(named, share, OF_CEILING, share / OF_CEILING, 1.0)


def epoch(session: Session) -> None:
    """Train one epoch, captured where its machine captures; score nothing."""
    session.begin()
    sums = session.replay.epoch() if session.replay and not session.replay.broken else None
    if sums is None:
        for each in session.steps():
            session.update(each)
    session.done += 1
    session.machine.wait()


def several(call: Callable[[], object], count: int) -> None:
    """Make a call so often."""
    for _ in range(count):
        call()


def packed(trials: Sequence[Trial]) -> Store:
    """The one store of trials that hear the same."""
    (store,) = prepare.stores(trials, prepare.scan(trials, None)).values()
    return store


def side_by_side(here: Machine, width: int, count: int) -> Iterator[Result]:
    """Trials side by side beside the same one after the other."""
    each = stacking.trials(width, count, 16, 8, 2)
    yield stacking.compared(each, packed(each), here, 2)


def whole_study(here: Machine, scale: Scale) -> Iterator[Result]:
    """A study end to end: base and damped CP-ResNets, folds x seeds, stacked, beside the same
    trials one after the other, of which one of each configuration is run.
    """
    base = QUICKSTART
    if scale.real:
        try:
            datasets.scan(ESC10.sound.dataset)
            base = ESC10
        except ValueError:
            print("ESC-10 is not here: the study hears synthetic sounds")
    fixed: dict[str, Any] = {"training.epochs": scale.epochs, "training.warmup": 0}
    fixed |= {"split.protocol": "folds", "split.train_devices": ""}
    trials = [
        changed(
            base,
            fixed
            | {
                "network.width": width,
                "network.damping": damping,
                "split.fold": fold,
                "seed": seed,
            },
        )
        for width, damping, fold, seed in product(
            scale.study, (0.0, 0.99), range(1, scale.folds + 1), range(scale.seeds)
        )
    ]
    store = packed(trials)
    clips = len(Listener(trials[0], store, here).parts["train"])
    chunks = groups(trials, scale.stack, lambda trial: shape(trial, clips))
    with tempfile.TemporaryDirectory() as folder:
        results = Results(folder)
        begun = perf_counter()
        for chunk in chunks:
            for _ in run_group(chunk, store, here, results):
                pass
        ours = perf_counter() - begun
    each = len(trials) // (2 * len(scale.study))
    with tempfile.TemporaryDirectory() as folder:
        begun = perf_counter()
        for trial in trials[::each]:
            for _ in run_trial(trial, store, replace(here, capture="off"), Results(folder)):
                pass
        peer = each * (perf_counter() - begun)
    yield Result(f"{len(trials)} trials, {scale.epochs} epochs, s", ours, peer, peer / ours)


def of_the_paper(found: Sequence[Alone]) -> list[Result]:
    """Print the GPU-hours of the over-parameterization paper at its scale, one trial at a time:
    each trial at the rate of the nearest measured cost and batch.
    """
    costs = np.log([each.macs for each in found])
    total, count = 0.0, 0
    for trial in (trial for name in PAPER for trial in study.find(name).trials()):
        apart = np.abs(costs - np.log(sizes.cost(trial, 10).macs))
        apart += np.abs(np.log([each.batch / trial.training.batch for each in found]))
        nearest = found[int(apart.argmin())]
        passed = TAU2020 * trial.training.passes * trial.training.epochs
        work = sizes.cost(trial, 10).macs / nearest.macs
        total += passed / nearest.rate * max(1.0, work) / 3600
        count += 1
    print(f"the paper: {count} trials on TAU 2020, about {total:,.0f} hours of this card, one each")
    return []


Part = tuple[str, Callable[[], Iterable[Result]]]


def parts(here: Machine, scale: Scale, found: list[Alone]) -> list[Part]:
    """What is measured, what matters most first. A stack of one is a trial alone."""
    front = partial(gpu_front_ends.front_ends, here, *scale.front, scale.repeats)
    sizes = list(product(scale.widths, scale.batches))
    few, many = sizes[: len(scale.batches)], sizes[len(scale.batches) :]
    stacks = [each for each in product(scale.stacked, scale.trials) if each[1] > 1]
    stacks.sort(key=lambda each: each[1] != 16)  # of which something is aimed at

    def trial(width: int, batch: int) -> Part:
        return f"W = {width}, batch {batch}", partial(alone, here, scale, width, batch, found)

    return [
        ("front ends", front),
        *(trial(*each) for each in few),
        *((f"{n} trials, W = {w}", partial(side_by_side, here, w, n)) for w, n in stacks[:3]),
        ("a study", partial(whole_study, here, scale)),
        *(trial(*each) for each in many),
        *((f"{n} trials, W = {w}", partial(side_by_side, here, w, n)) for w, n in stacks[3:]),
    ]


def measured(parts: Iterable[Part], time: float = TIME) -> list[Result]:
    """The figures of all parts, each printed when it is there. What a part raises, and a part that
    would begin after so many seconds, is one line.
    """
    begun, results = perf_counter(), list[Result]()
    for name, part in parts:
        if perf_counter() - begun > time:
            print(f"{name}: not measured, {time:g} s are over", flush=True)
            continue
        try:
            for each in part():
                results.append(each)
                print(
                    f"{each.name}: {each.ours:,.2f}, {each.ratio:,.2f} times the peer", flush=True
                )
        except Exception as error:  # noqa: BLE001
            # of memory, of a compiler, of the GPU: the other parts are worth their time
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{name}: not measured, {said}", flush=True)
        gc.collect()
        with suppress(RuntimeError):  # of a GPU that is of no more use
            torch.cuda.empty_cache()
    return results


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    chosen = parser.parse_args(words)
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: nothing is measured (--device cpu --quick shows that the code runs)")
        return
    scale, here = QUICK if chosen.quick else Scale(), machine.here(chosen.device)
    found: list[Alone] = []
    results = measured([("ceilings", partial(ceilings, here)), *parts(here, scale, found)])
    if found and not chosen.quick:
        measured([("the paper", partial(of_the_paper, found))])  # whatever time is left
    report(f"A GPU for studies, {here.precision_name}", results)


if __name__ == "__main__":
    main()
