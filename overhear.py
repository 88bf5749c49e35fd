"""The one command: joins the sub-commands of the three packages.

Errors that a person can mend are one line on standard error and exit code 2; `--debug` shows where
they came from.
"""

import atexit
import gc
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any


def _check_packages() -> None:
    """End with a line where Python would import another file in the place of one of our packages,
    whose names are common ones.
    """
    for name in ("analysis", "scaling", "sweeps"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found = Path(spec.origin)
        ours = Path(__file__).resolve().parent / name
        if found.resolve().parent != ours:
            print(
                f"overhear: {found} hides Overhear's own package {name}: rename that file, or take "
                "its folder out of PYTHONPATH",
                file=sys.stderr,
            )
            sys.exit(2)


_check_packages()

from scaling import interruption  # noqa: E402

if Path(sys.argv[0]).stem == "overhear":  # not where a test imports this
    interruption.expect()

import typer  # noqa: E402

import analysis.cli  # noqa: E402
import scaling.cli  # noqa: E402
import sweeps.cli  # noqa: E402

# What Typer raises for words that it does not understand: click's ClickException, which it has in
# a copy of its own.
_MISTYPED: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="overhear",
    help="How big, how biased, how pruned an audio classifier should be, so that it still works on "
    "devices it never heard.",
    epilog="--debug anywhere shows the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(sweeps.cli.studies)
app.command()(sweeps.cli.sweep)
app.command()(analysis.cli.status)
app.command()(scaling.cli.train)
app.add_typer(scaling.cli.data, name="data")
app.command()(analysis.cli.analyze)


@app.command()
def erf(
    results: Annotated[str, typer.Argument(help="results folder or URI, as a sweep wrote it")],
    trial: Annotated[
        list[str] | None, typer.Option(help="trial to draw; all that have weights unless given")
    ] = None,
    study: Annotated[list[str] | None, typer.Option(help="only the trials of this study")] = None,
    split: Annotated[
        str, typer.Option(help="whose clips; unseen devices, else test, unless given")
    ] = "",
    kind: Annotated[str, typer.Option(help="feature, logits or class")] = "feature",
    label: Annotated[str | None, typer.Option(help="which class, with --kind class")] = None,
    root: scaling.cli.Root = None,
    column: scaling.cli.Column = None,
    group_from: scaling.cli.GroupFrom = None,
    out: Annotated[
        str | None, typer.Option(help="local folder; RESULTS/figures unless given")
    ] = None,
    format: Annotated[  # noqa: A002
        analysis.cli.Format, typer.Option(help="file format of the figures")
    ] = analysis.cli.Format.PNG,
    device: scaling.cli.Device = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all.")] = 0,
) -> None:
    """Draw where trained networks look: maps that are missing are computed from their weights."""
    if (kind == "class") != (label is not None):
        raise ValueError(f"--kind {kind} with --label {label}: class, and only class, takes one")
    analysis.cli.figures_folder(results, out)  # before what takes long
    trials = analysis.cli.trials_of(results, study, trial)
    where = (device, "float32", threads)
    wanted, read = (split, kind, label), (column, group_from)
    split = scaling.cli.compute_maps(results, trials, wanted, root, where, read)
    name = kind if label is None else f"class {label}"
    analysis.cli.draw_fields(results, trials, split, name, out, format)


def _said_once() -> Callable[..., None]:
    """Prints each warning once, whatever libraries do to Python's own count of them."""
    said: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            print(f"overhear: warning: {_scrubbed(message)}", file=sys.stderr)

    return show


def _scrubbed(message: object) -> str:
    """What may be printed of an error: no secret of an address in it or on the command line."""
    from scaling.storage import scrubbed

    return scrubbed(str(message), *sys.argv[1:])


def main() -> None:
    """Run the command line; never returns. Told to end, it exits with 128 and the signal's number,
    without waiting for what Ray or torch still have to tidy up.
    """
    interruption.ready()
    try:
        _run()
    except interruption.Stopped:
        pass
    finally:
        if code := interruption.asked():
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)
        interruption.over()


def _run() -> None:
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    # what is imported stays: to look for garbage among it takes a fifth of the start, and half a
    # second at the end
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    warnings.simplefilter("always", UserWarning)
    warnings.showwarning = _said_once()
    try:
        sys.exit(app(standalone_mode=False))
    except _MISTYPED as error:
        message = _scrubbed(error.format_message())
        if not message:  # no command at all: the help that it holds
            error.show()
            sys.exit(error.exit_code)
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "overhear"
        print(f"overhear: {message} (see {command} --help)", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:  # Ctrl-C
        sys.exit(130)
    except (ValueError, OSError) as error:
        if debug:
            raise
        print(f"overhear: {_scrubbed(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
