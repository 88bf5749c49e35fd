"""Twin: the int8 version of an exported file, made, judged, measured and written beside it.

Heavy libraries are imported when one is made, so that help is instant. Contents: TwinOptions,
`check_int8`, `twin`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from scaling.results.records import Results
    from scaling.shipping import int8
    from scaling.shipping.model import Model
    from scaling.shipping.ship import Destination
    from scaling.training.inputs import Listener

RATE, FASTEST = 1e-5, 0.1  # of fine-tuning: a trained network moves little


class TwinOptions(NamedTuple):
    """What is asked of an int8 twin."""

    most_lost: float  # points of accuracy, on a device
    epochs: int  # of fine-tuning, at most
    rate: float  # of fine-tuning
    opset: int


def check_int8(int8: bool, target: str, force: bool, wanted: TwinOptions) -> None:
    """Raises ValueError for options of an int8 twin that do not fit together."""
    if int8 and target != "onnx":
        raise ValueError(f"--int8 with --to {target}: only --to onnx has an int8 version")
    if wanted.most_lost < 0:
        raise ValueError(f"--max-loss {wanted.most_lost:g} must be 0 or more points of accuracy")
    if wanted.epochs and not int8:
        raise ValueError("--finetune needs --int8: it trains the int8 version")
    if not 0 < wanted.rate <= FASTEST:
        raise ValueError(f"--finetune-rate {wanted.rate:g} must be above 0 and at most {FASTEST:g}")
    if wanted.rate != RATE and not wanted.epochs:
        raise ValueError("--finetune-rate needs --finetune EPOCHS: add it, or leave the rate out")
    if force and not int8:
        raise ValueError("--force needs --int8: it allows the int8 version to lose accuracy")


def twin(
    results: "Results",
    model: "Model",
    listener: "Listener",
    wanted: TwinOptions,
    place: "Destination",
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
