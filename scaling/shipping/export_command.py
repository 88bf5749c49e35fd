"""`overhear export`: a model as one checked file, with its card beside it.

Heavy libraries are imported when the command runs, so that help is instant. Contents: Destination,
`destination`, `ship`, TwinOptions, `check_int8`, `twin`.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from scaling.shipping import MODELS

RATE, FASTEST = 1e-5, 0.1  # of fine-tuning: a trained network moves little

if TYPE_CHECKING:
    from scaling.results.folder import Folder
    from scaling.results.records import Results
    from scaling.shipping import int8
    from scaling.shipping.agreement import Agreement, Heard
    from scaling.shipping.model import Model
    from scaling.training.inputs import Listener


class Destination(NamedTuple):
    """Where a model is written: a folder, and names in it."""

    folder: "Folder"
    within: tuple[str, ...]
    stem: str
    ending: str

    def put(self, content: bytes, ending: str) -> str:
        """Write a file of this ending, whole; its place, as it may be printed."""
        name = self.stem + ending
        self.folder.put(memoryview(content), *self.within, name)
        return "/".join((self.folder.where.rstrip("/"), *self.within, name))


def destination(results: "Results", out: str | None, trial: str, ending: str) -> Destination:
    """Where `--out` means: a file by its ending, else a folder; unless given, RESULTS/models.

    Raises ValueError for a file of another ending.
    """
    from scaling.results.folder import Folder
    from scaling.text import printable

    if out is None:
        return Destination(results, (MODELS,), trial, ending)
    address, options = re.fullmatch(r"([^?]*)(.*)", out, re.DOTALL).groups()  # type: ignore[union-attr]
    parent, _, name = address.rstrip("/").rpartition("/")
    if name.endswith(ending) and name != ending:
        above = f"{parent}{options}" if parent else ("/" if address.startswith("/") else ".")
        return Destination(Folder(above), (), name.removesuffix(ending), ending)
    folder = address.endswith("/") or "." not in name or Path(address).is_dir()
    if not folder:
        raise ValueError(
            f"--out {printable(name)}: a file of this target ends in {ending}; a folder's name "
            "ends in /"
        )
    return Destination(Folder(out), (), trial, ending)


def ship(
    results: "Results",
    model: "Model",
    place: Destination,
    asked: tuple[str, int],
    heard: "Heard",
    record: Mapping[str, Any],
    also: "Callable[[bytes], Mapping[str, Any] | None] | None" = None,
) -> None:
    """Export, check on clips, write the file and its card; what was done, to standard output.

    `asked` is target and opset; `record` what analysis says of the trial, with `chosen` and
    `calibrated`, lines on which trial this is and on its probabilities; `also` makes an int8 twin
    of the checked content and returns what the card says of it. Raises ValueError, and
    writes nothing, where the file does not answer as PyTorch does.
    """
    from scaling.shipping import agreement, export, facts
    from scaling.shipping.card import page

    target, opset = asked
    content = export.exported(model, target, opset)
    found = agreement.agree(export.runner(content, target), model, heard)
    if not found.holds:
        raise ValueError(_refused(found, target))
    twin = also(content) if also else None  # first, as what it measures is among the facts
    said = facts.facts(model, results, record) | {
        "int8": twin,
        "file": place.stem + place.ending,
        "target": target,
        "opset": opset if target == "onnx" else None,
        "bytes": len(content),
        "front_end_bytes": export.front_end_bytes(content) if target == "onnx" else None,
        "chosen": record["chosen"],
        "calibrated": record["calibrated"],
        "checked": {
            "clips": heard.what,
            "reason": heard.reason,
            "batches": list(agreement.BATCHES),
            "largest_logit_difference": found.largest,
        },
        "command": _command(results.where, model.id, target, twin),
    }
    written = page(said)
    where = place.put(content, place.ending)
    of = "" if target == "onnx" else place.ending  # each target's file has a card of its own
    cards = place.put(written.encode(), f"{of}.md"), place.put(_json(said), f"{of}.json")
    typer.echo(f"{target}: {where}, {len(content):,} bytes")
    typer.echo(
        f"checked on {heard.what} at batch 1 and 7: largest logit difference {found.largest:.1e}, "
        "the same answer for every clip"
    )
    if heard.reason:
        typer.echo(f"its own clips were not here: {heard.reason}")
    typer.echo(f"card: {' and '.join(cards)}")


def _command(results: str, trial: str, target: str, twin: Mapping[str, Any] | None) -> str:
    """The command that makes this file again."""
    words = ["overhear", "export", results, "--trial", trial, "--to", target]
    return shlex.join([*words, *_twin_words(twin)])


def _twin_words(twin: Mapping[str, Any] | None) -> list[str]:
    """The options that make this twin again."""
    if not twin:
        return []
    words = ["--int8"]
    for each in twin["tried"][-1:]:
        words += [
            "--finetune",
            str(each["epochs"]),
            "--finetune-rate",
            f"{twin['finetune_rate']:g}",
        ]
    return words


class TwinOptions(NamedTuple):
    """What is asked of an int8 twin."""

    most_lost: float  # points of accuracy, on a device
    epochs: int  # of fine-tuning, at most
    rate: float  # of fine-tuning
    opset: int


def check_int8(int8: bool, target: str, force: bool, wanted: TwinOptions) -> None:
    """Raises ValueError for options of an int8 twin that do not fit together."""
    if int8 and target != "onnx":
        raise ValueError(f"--int8 with --to {target}: only onnx has an int8 twin")
    if wanted.most_lost < 0:
        raise ValueError(f"--max-loss {wanted.most_lost:g}: points of accuracy, 0 or more")
    if wanted.epochs and not int8:
        raise ValueError("--finetune without --int8: it trains the twin")
    if not 0 < wanted.rate <= FASTEST:
        raise ValueError(
            f"--finetune-rate {wanted.rate:g}: Adam's learning rate, above 0, at most {FASTEST:g}"
        )
    if wanted.rate != RATE and not wanted.epochs:
        raise ValueError("--finetune-rate without --finetune EPOCHS: it is the rate of that")
    if force and not int8:
        raise ValueError("--force without --int8: it is about the twin's loss")


def twin(
    results: "Results",
    model: "Model",
    listener: "Listener",
    wanted: TwinOptions,
    place: Destination,
    content: bytes,
) -> dict[str, Any]:
    """Make, judge, measure and write the int8 twin of an ONNX file; what the card says of it.

    Raises ValueError, and writes nothing, where it loses more than it may, and where nothing can
    say how long to fine-tune it.
    """
    from scaling.shipping import int8

    if wanted.epochs:
        made = _finetuned(model, listener, wanted, content)
    else:
        made = int8.quantized(content, listener)
    made = int8.judged(made, listener)
    if why := int8.refused(made, wanted.most_lost):
        raise ValueError(why)
    said = int8.keep(results, model.id, made, model.samples)
    where = place.put(made.int8, f".int8{place.ending}")
    times = said["latency"]
    typer.echo(
        f"int8: {where}, {len(made.int8):,} bytes of {len(made.float32):,} (without the front "
        f"end: {_network_bytes(said, 'int8'):,} of {_network_bytes(said, 'float32'):,})"
    )
    for precision, each in times.items():
        typer.echo(
            f"  {precision}: p50 {each['p50_ms']:.2f} ms, p95 {each['p95_ms']:.2f} ms, one thread "
            f"of onnxruntime on {said['machine']}"
        )
    if said["worst"]:
        typer.echo(f"  worst device: {said['worst']}")
    typer.echo(
        f"  most lost: {made.lost:.1f} points, by {int8.named(made.worst)} "
        f"({int8.compared(made.worst)}); calibrated on {made.calibration_clips} training clips"
    )
    for remark in said["remarks"]:
        typer.echo(f"  {remark}")
    said |= {"finetune_rate": wanted.rate if wanted.epochs else None}
    return said | {"file": f"{place.stem}.int8{place.ending}"}


def _finetuned(
    model: "Model", listener: "Listener", wanted: TwinOptions, content: bytes
) -> "int8.Twin":
    """The best twin on validation clips, each candidate told as it is made."""
    from scaling.shipping import int8

    twins = []
    for each in int8.candidates(content, model, listener, wanted.epochs, wanted.rate, wanted.opset):
        twins.append(each)
        (right,) = each.tried
        typer.echo(
            f"epochs of fine-tuning: {right.epochs}; validation clips right: "
            f"{100 * right.worst:.1f} % on the worst device, {100 * right.mean:.1f} % in all",
            err=True,
        )
    found = int8.best(twins)
    typer.echo(f"validation clips choose {found.finetuned_epochs} epochs of fine-tuning")
    return found


def _network_bytes(said: Mapping[str, Any], precision: str) -> int:
    """Of a file without its front end's tables."""
    whole: int = said[f"{precision}_bytes"]
    return whole - int(said["front_end_bytes"][precision])


def _json(said: Mapping[str, Any]) -> bytes:
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def _refused(found: "Agreement", target: str) -> str:
    """Why nothing was written."""
    from scaling.shipping import agreement

    return (
        f"--to {target}: nothing was written, as the file does not answer as PyTorch does: its "
        f"largest logit difference is {found.largest:.2g} (at most {agreement.MOST:g}) and "
        f"{found.other} of {found.clips:,} clips get another answer: take another target, and "
        "report this"
    )
