"""The one command: joins the sub-commands of the three packages.

Errors that a person can mend are one line on standard error and exit code 2; `--debug` shows where
they came from.
"""

import atexit
import gc
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

if TYPE_CHECKING:
    from scaling.results.claims import Claim


def _check_packages() -> None:
    """End with a line where Python would import another file in the place of one of our packages,
    whose names are common ones.
    """
    for name in ("analysis", "scaling", "sweeps"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found = Path(spec.origin)
        ours = Path(__file__).resolve().parents[1] / name
        if found.resolve().parent != ours:
            print(
                f"overhear: {found} hides Overhear's own package {name}: rename that file, or take "
                "its folder out of PYTHONPATH",
                file=sys.stderr,
            )
            sys.exit(2)


_check_packages()

from scaling import interruption  # noqa: E402

STARTED = Path(sys.argv[0])
if (
    STARTED.stem == "overhear" or STARTED.parent == Path(__file__).parent
):  # not where a test imports
    interruption.expect()

import typer  # noqa: E402

import analysis.choose_command  # noqa: E402
import analysis.cli  # noqa: E402
import scaling.cli  # noqa: E402
import scaling.shipping.command  # noqa: E402
import scaling.shipping.export_command  # noqa: E402
import sweeps.cli  # noqa: E402
from overhear.coordinates import coordinates  # noqa: E402
from overhear.erf import erf  # noqa: E402
from overhear.measure import measure  # noqa: E402
from overhear.scene import scene  # noqa: E402
from scaling.shipping.command import Form  # noqa: E402
from scaling.shipping.export_command import RATE, TwinOptions, check_int8  # noqa: E402
from scaling.text import guarded, one_line  # noqa: E402
from scaling.typed import filled, number, whole  # noqa: E402
from scaling.warned import OURS, warner  # noqa: E402

app = typer.Typer(
    name="overhear",
    help="Study how large, how biased and how pruned audio classifiers should be to work on "
    "recording devices that training never heard.",
    epilog="--debug anywhere shows the traceback of an error.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(sweeps.cli.studies)
app.command()(sweeps.cli.sweep)
app.command()(analysis.cli.status)
app.command()(analysis.cli.analyze)
app.command()(analysis.choose_command.choose)
app.command()(measure)
app.command()(analysis.cli.report)
app.command()(scaling.cli.train)
app.add_typer(scaling.cli.data, name="data")
app.command()(scaling.cli.recipes)
app.command()(scaling.cli.settings)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"overhear {version('overhear-study')}")
    except PackageNotFoundError:
        typer.echo("overhear (not installed: version unknown)")
    raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """The options of the command itself."""


app.command()(erf)
app.command()(scene)
app.command()(coordinates)


@app.command()
def predict(
    results: Annotated[str, typer.Argument(help="Results folder or URI of a sweep.")],
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP|FOLDER...", help="Recordings, or folders of them."),
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
            parser=number,
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
    device: scaling.cli.Device = "auto",
    threads: scaling.cli.Threads = 0,
) -> None:
    """Classify recordings with a trained model: labels and their probabilities."""
    from analysis.pick import pick
    from scaling import machine
    from scaling.results.records import Results
    from scaling.shipping.model import load

    filled(trial=trial)
    here = machine.here(device, "float32", threads)
    picked = pick(Results(results), trial or "")
    model = load(Results(results), picked.trial, here, picked.temperature)
    scaling.cli.say_own([model.trial])
    typer.echo(f"{picked.why}\nprobabilities: {picked.calibration}", err=True)
    if scaling.shipping.command.show(model, clips, hop, top, format):
        raise typer.Exit(1)


@app.command()
def export(
    results: Annotated[str, typer.Argument(help="Results folder or URI of a sweep.")],
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Trial to export, by its id or the start of it (default: the best trial of what "
            "overhear choose takes).",
        ),
    ] = None,
    to: Annotated[str, typer.Option(metavar="TARGET", help="onnx, torch or executorch.")] = "onnx",
    opset: Annotated[
        int, typer.Option(metavar="N", help="ONNX operator set.", parser=whole(1))
    ] = 18,
    out: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="Output file or folder (default: RESULTS/models)."),
    ] = None,
    root: scaling.cli.Root = None,
    column: scaling.cli.Column = None,
    group_from: scaling.cli.GroupFrom = None,
    threads: scaling.cli.Threads = 0,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write an int8 version (with --to onnx).")
    ] = False,
    finetune: Annotated[
        int,
        typer.Option(
            metavar="EPOCHS",
            parser=whole(0),
            help="Fine-tune the int8 version for up to this many epochs; "
            "validation clips choose how many.",
        ),
    ] = 0,
    finetune_rate: Annotated[
        float, typer.Option(metavar="RATE", parser=number, help="Learning rate of --finetune.")
    ] = RATE,
    most_lost: Annotated[
        float,
        typer.Option(
            "--max-loss",
            metavar="POINTS",
            parser=number,
            help="Largest loss of accuracy, in points, that int8 may cause on any device.",
        ),
    ] = 2.0,
    force: Annotated[
        bool, typer.Option("--force", help="Write the int8 version whatever it loses.")
    ] = False,
) -> None:
    """Export a trained model, from waveform to probabilities, as one verified file."""
    from analysis.data import opened
    from analysis.pick import pick
    from analysis.track_record import track_record
    from scaling import machine
    from scaling.results.records import Results
    from scaling.shipping import agreement, model
    from scaling.shipping import export as exporting
    from scaling.sound.datasets.reading import reading

    filled(trial=trial, to=to, out=out, root=root)
    most = float("inf") if force else most_lost
    wanted = TwinOptions(most, finetune, finetune_rate, opset)
    check_int8(int8, to, force, wanted)
    here, folder = machine.here("cpu", "float32", threads), Results(results)
    here.reset()
    exporting.check_target(to, opset)
    data = opened([folder])
    picked = pick(folder, trial or "", data)
    typer.echo(f"{picked.why}\nprobabilities: {picked.calibration}", err=True)
    ending = exporting.TARGETS[to].ending
    place = scaling.shipping.export_command.destination(folder, out, picked.trial, ending)
    found = model.load(folder, picked.trial, here, picked.temperature)
    scaling.cli.say_own([found.trial])
    record = track_record(data, picked.trial)
    heard = agreement.heard_out(folder, found, here, root, reading(column, group_from))
    record |= {"chosen": picked.why, "calibrated": picked.calibration}
    record |= {"training_clips": len(heard.listener.parts["train"]) if heard.listener else None}
    twin = None
    if int8:
        from scaling.shipping.int8 import check_validated

        read = reading(column, group_from)
        listener = heard.listener or agreement.listening(folder, found, here, root, read)
        check_validated(listener, finetune)  # before what takes long
        make = scaling.shipping.export_command.twin
        twin = partial(make, folder, found, listener, wanted, place)
    scaling.shipping.export_command.ship(folder, found, place, (to, opset), heard, record, twin)


@app.command()
def claims(
    results: analysis.cli.Joined,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Judge the claims of this study, shipped or a Python file (default: what was "
            "stated when the results were made).",
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Family-wise error rate over a study's claims.")
    ] = 0.05,
    unit: Annotated[
        str,
        typer.Option(
            help="Unit of the intervals of claims that name none: folds, repeats or devices "
            "(default: the widest claim that the design allows)."
        ),
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Print all claims, not only the first 20.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the claims as JSON lines.")] = False,
    out: Annotated[
        str | None, typer.Option(help="Local folder of claims.csv (default: RESULTS/figures).")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write the evidence to a small file, which claims reads instead of RESULTS.",
        ),
    ] = None,
) -> None:
    """Judge each claim of a study by its results: supported, contradicted or undecided."""
    from analysis import ledger
    from sweeps.study import find, names

    def states(name: str) -> "tuple[str, tuple[Claim, ...]]":
        found = find(name)
        return found.name, found.claims

    ledger.show(results, study, states, names(), alpha, unit, every, json, out, keep)


NOT_ASKED = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)
FAULT, INTERRUPTED, UNREAD = 70, 130, 141  # exit codes: see main
# click's own error, wherever this version of typer keeps click
USAGE = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def _said_once() -> Callable[..., None]:
    """Prints each warning once, whatever libraries do to Python's own count of them.

    One of a library names that library; what it tells its own developers is not for our readers.
    """
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        module = warner()
        of = "" if module in OURS else f" of {module}"
        if str(message) in said or (of and issubclass(category, NOT_ASKED)):
            return
        said.add(str(message))
        print(f"overhear: warning{of}: {_told(message)}", file=sys.stderr)

    return show


def _debug() -> bool:
    """Whether --debug is among the words before `--`, where it is taken out."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != "--debug"]
    sys.argv[1:] = rest + words[end:]
    return len(rest) < end


def _run(debug: bool) -> int:
    """Run the command; its exit code, after one line where something went wrong."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except USAGE as error:
        asked = error.ctx.command_path if error.ctx else "overhear"
        if line := error.format_message():  # else its help has been printed
            return _say(f"{line.rstrip('.')} (see {asked} --help)", 2)
        return 2
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends like this where it meets it
            raise BrokenPipeError from None
        raise
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except MemoryError as error:
        if debug:
            raise
        told = f" ({error})" if str(error) else ""
        return _say(f"this machine has too little memory{told}: ask for less at once", 2)
    except BrokenPipeError:
        raise
    except (ValueError, OSError) as error:
        if debug:
            raise
        return _say(str(error) or type(error).__name__, 2)
    except Exception as error:
        # the last catch: nobody sees a traceback without asking for it
        if debug:
            raise
        kind = type(error).__name__
        return _say(
            f"this is a fault of Overhear ({kind}: {_told(error)[:300]}): please report it with "
            "the command and the traceback that --debug prints",
            FAULT,
        )


def _told(message: object) -> str:
    """What may be printed of an error: one line, without the secrets of addresses in it or on the
    command line.
    """
    from scaling.storage import scrubbed  # loads pyarrow, which help does without

    return one_line(scrubbed(str(message), *sys.argv[1:]))


def _say(line: str, code: int) -> int:
    print(f"overhear: {_told(line)}", file=sys.stderr)
    return code


def _traceback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What --debug shows; names in it may hold what a terminal would obey, or a secret."""
    from scaling.storage import scrubbed

    with guarded():
        lines = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(scrubbed(lines, *sys.argv[1:]))


def main() -> None:
    """Run the command line; never returns. Told to end, it exits with 128 and the signal's number,
    without waiting for what Ray or torch still have to tidy up.

    Exit codes: 0 done; 1 a sweep that is not complete, or recordings that cannot be read; 2 what a
    person can mend; 70 a fault of ours; 129, 130, 143 told to end; 141 nobody reads the output any
    more.
    """
    interruption.ready()
    try:
        _command()
    except interruption.Stopped:
        pass
    finally:
        if code := interruption.asked():
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)
        interruption.over()


def _command() -> None:
    """Run the command and exit with its code."""
    debug = _debug()
    # what is imported stays: to look for garbage among it takes a fifth of the start, and half a
    # second at the end
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    warnings.simplefilter("always", UserWarning)
    # a manifest has more columns of text than pandas expects, each of which is a block of its own
    warnings.filterwarnings("ignore", "DataFrame is highly fragmented")
    warnings.showwarning = _said_once()
    try:
        with guarded():
            code = _run(debug)
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would say that it cannot
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        code = UNREAD
    except Exception:  # only --debug lets one through
        sys.excepthook = _traceback  # late, as typer puts its own there
        raise
    sys.exit(code)
