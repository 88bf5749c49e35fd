"""`overhear predict`: a trained model's answers to recordings.

Heavy imports happen inside the function, so that --help is instant. Contents: predict.
"""

from typing import Annotated

import typer

from scaling.commands.options import Device, ResultsFolder, Threads, check_driver
from scaling.commands.own_code import say_own
from scaling.shipping.printed import Form, show
from scaling.typed import bounded, recording, whole


def predict(
    results: ResultsFolder,
    clips: Annotated[
        list[str],
        typer.Argument(
            parser=recording, metavar="CLIP|FOLDER", help="Recordings, or folders of them."
        ),
    ],
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Trial to use, by its id or the start of it (default: the best trial of what "
            "overhear choose takes).",
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Hop between windows of recordings that are longer than a clip (default: a "
            "clip's length).",
            parser=bounded(above=0),
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Print only the K most probable classes (default: 3 in the table, else all).",
            parser=whole(1),
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Form, typer.Option(help="Output format.")
    ] = Form.TABLE,
    device: Device = "auto",
    threads: Threads = 0,
) -> None:
    """Classify recordings with a trained model: labels and their probabilities."""
    check_driver(device)
    from analysis.data import opened
    from analysis.pick import pick
    from scaling.results.records import Results
    from scaling.shipping.hop import hop_samples

    folder = Results(results)
    data = opened([folder])
    picked = pick(folder, trial or "", data)
    hop_samples(hop, data.trial(picked.trial).sound)  # before torch is imported
    from scaling import machine
    from scaling.shipping.model import load

    here = machine.here(device, "float32", threads)
    model = load(folder, picked.trial, here, picked.temperature)
    say_own([model.trial])
    typer.echo(f"{picked.why}\nprobabilities: {picked.calibration}", err=True)
    if show(model, clips, hop, top, format):
        raise typer.Exit(1)
