"""Trials side by side, beside the same trials one after the other: whole epochs of training, from
packed clips to the optimizer, on synthetic clips of 1 x 256 x 216.

A GPU gains, as a small trial leaves it idle; a CPU does not, which is busy with one. With --device
cuda and no GPU it says so, and exits 0.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

import torch
from common import Result, report

from scaling import machine
from scaling.networks.cp_resnet import CPResNet
from scaling.settings import Augment, Evaluation, Features, Sound, Split, Training, Trial
from scaling.sound import prepare
from scaling.sound.store import Store
from scaling.training import loop, stacked
from scaling.training.inputs import Listener
from scaling.training.session import Session

TARGETS = {8: 20.0, 16: 18.0, 32: 12.0}  # by width, for 16 trials on a data-centre GPU
LIMIT = 4.0  # on a GPU


def trials(width: int, count: int, batch: int, clips: int, epochs: int) -> list[Trial]:
    """Base and damped in turn, each with a seed of its own."""
    return [
        Trial(
            seed=seed,
            sound=Sound(
                dataset="synthetic",
                rate=16_000,
                seconds=1.0,
                features=Features(kind="log_mel", window=1024, hop=74, mels=256, range_db=80),
            ),
            split=Split(protocol="folds", fold=1, clips_per_class=clips),
            network=CPResNet(width=width, depth=1, pointwise=1, damping=0.99 * (seed % 2)),
            training=Training(epochs=epochs + 2, batch=batch, rate=1e-3),
            augment=Augment(roll=0.5, mixup=0.3),
            evaluation=Evaluation(every=epochs + 2),
        )
        for seed in range(count)
    ]


def seconds(epochs: Iterator[object], count: int, here: machine.Machine) -> float:
    """What so many epochs take, behind a first one; the last, which is scored, is not run."""
    next(epochs)
    begun = perf_counter()
    for _ in range(count):
        next(epochs)
    here.wait()
    return perf_counter() - begun


def compared(each: list[Trial], store: Store, here: machine.Machine, epochs: int) -> Result:
    """Clips a second of all trials together, captured where they can be, beside each alone and
    uncaptured.
    """
    plain = replace(here, capture="off")
    alone = sum(
        seconds(loop.run(one, Listener(one, store, plain), plain), epochs, plain) for one in each
    )
    sessions = {one.id: Session(one, Listener(one, store, here), here, None, None) for one in each}
    first = next(iter(sessions.values()))
    clips = len(each) * epochs * first.count * each[0].training.batch
    together = seconds(stacked.run(sessions), epochs, here)
    width, gpu = each[0].network.width, here.device.type == "cuda"
    return Result(
        f"{len(each)} trials, W = {width}, clips/s",
        clips / together,
        clips / alone,
        alone / together,
        TARGETS.get(width) if gpu and len(each) == 16 else None,
        LIMIT if gpu else None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--widths", type=int, nargs="+", default=[8])
    parser.add_argument("--trials", type=int, nargs="+", default=[4])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=8, help="of each class")
    parser.add_argument("--epochs", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: trials side by side are measured where there is one")
        return
    here = machine.here(chosen.device)
    results = []
    for width in chosen.widths:
        for count in chosen.trials:
            each = trials(width, count, chosen.batch, chosen.clips, chosen.epochs)
            clips = prepare.scan(each, None)
            (store,) = prepare.stores(each, clips).values()
            results.append(compared(each, store, here, chosen.epochs))
    report(f"Trials side by side, batch {chosen.batch}, {here.precision_name}", results)


if __name__ == "__main__":
    main()
