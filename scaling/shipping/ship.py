"""Ship: a model written as one checked file, with its card beside it.

Heavy libraries are imported when something is shipped, so that help is instant. Contents:
Destination, `destination`, `ship`; `scaling.shipping.twin` makes the int8 twin of the file.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from scaling.shipping import MODELS

if TYPE_CHECKING:
    from scaling.results.folder import Folder
    from scaling.results.records import Results
    from scaling.shipping.agreement import Agreement, Heard
    from scaling.shipping.model import Model


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
            f"--out {printable(name)}: a file of this format must end in {ending}, a folder's name "
            "in /"
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
        typer.echo(f"the trial's own clips are not here: {heard.reason}")
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
