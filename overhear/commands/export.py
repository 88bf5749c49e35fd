"""`overhear export`: a trained model as one verified file, and as an int8 twin.

Heavy imports happen inside the function, so that --help is instant. Contents: export.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from scaling.commands.groups import grouped
from scaling.commands.options import ClipOptions, ResultsFolder, Threads
from scaling.commands.own_code import say_own
from scaling.shipping import HIGHEST, LOWEST, OPSET
from scaling.shipping.ship import destination, ship
from scaling.shipping.twin import FASTEST, RATE, TwinOptions, check_int8, twin
from scaling.typed import bounded, whole, word

TARGETS = ("onnx", "torch", "executorch")


@dataclass(frozen=True)
class Int8Options:
    """Whether an int8 twin is made, how it is trained, and what it may lose."""

    int8: Annotated[
        bool, typer.Option("--int8", help="Also write an int8 version (with --to onnx).")
    ] = False
    finetune: Annotated[
        int,
        typer.Option(
            metavar="EPOCHS",
            parser=whole(0),
            help="Fine-tune the int8 version for up to this many epochs; "
            "validation clips choose how many.",
        ),
    ] = 0
    finetune_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            parser=bounded(above=0, most=FASTEST),
            help="Learning rate of --finetune.",
        ),
    ] = RATE
    most_lost: Annotated[
        float,
        typer.Option(
            "--max-loss",
            metavar="POINTS",
            parser=bounded(least=0),
            help="Largest loss of accuracy, in points, that int8 may cause on any device.",
        ),
    ] = 2.0
    force: Annotated[
        bool, typer.Option("--force", help="Write the int8 version whatever it loses.")
    ] = False

    def wanted(self, opset: int) -> TwinOptions:
        """What is asked of the twin."""
        most = float("inf") if self.force else self.most_lost
        return TwinOptions(most, self.finetune, self.finetune_rate, opset)


@grouped
def export(
    results: ResultsFolder,
    *,
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Trial to export, by its id or the start of it (default: the best trial of what "
            "overhear choose takes).",
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(parser=word(*TARGETS), metavar="|".join(TARGETS), help="Format of the file."),
    ] = "onnx",
    opset: Annotated[
        int, typer.Option(metavar="N", help="ONNX operator set.", parser=whole(LOWEST, HIGHEST))
    ] = OPSET,
    out: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Output file or folder (default: RESULTS/models)."),
    ] = None,
    where: ClipOptions,
    threads: Threads = 0,
    asked: Int8Options,
) -> None:
    """Export a trained model, from waveform to probabilities, as one verified file."""
    # what may be mistyped, before libraries that take seconds to import
    wanted = asked.wanted(opset)
    check_int8(asked.int8, to, asked.force, wanted)
    from analysis.data import opened
    from analysis.pick import pick
    from analysis.track_record import track_record
    from scaling.results.records import Results

    folder = Results(results)
    data = opened([folder])
    picked = pick(folder, trial or "", data)
    where.check()
    from scaling import machine
    from scaling.shipping import agreement, model
    from scaling.shipping import export as exporting

    here = machine.here("cpu", "float32", threads)
    here.reset()
    exporting.check_target(to, opset)
    typer.echo(f"{picked.why}\nprobabilities: {picked.calibration}", err=True)
    ending = exporting.TARGETS[to].ending
    place = destination(folder, out, picked.trial, ending)
    found = model.load(folder, picked.trial, here, picked.temperature)
    say_own([found.trial])
    record = track_record(data, picked.trial)
    heard = agreement.heard_out(folder, found, here, where.root, where.reading)
    record |= {"chosen": picked.why, "calibrated": picked.calibration}
    record |= {"training_clips": len(heard.listener.parts["train"]) if heard.listener else None}
    also = None
    if asked.int8:
        from scaling.shipping.int8 import check_validated

        listener = heard.listener or agreement.listening(
            folder, found, here, where.root, where.reading
        )
        check_validated(listener, asked.finetune)  # before what takes long
        also = partial(twin, folder, found, listener, wanted, place)
    ship(folder, found, place, (to, opset), heard, record, also)
