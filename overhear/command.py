"""The one command: joins the sub-commands of the packages, and runs them.

Each command is a function in a file of its own; what it says where something went wrong is in
overhear.errors. Contents: app, main.
"""

import atexit
import gc
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from overhear.shadowed import check_packages

check_packages()

from scaling import interruption  # noqa: E402

STARTED = Path(sys.argv[0])
if (
    STARTED.stem == "overhear" or STARTED.parent == Path(__file__).parent
):  # not where a test imports
    interruption.expect()

import typer  # noqa: E402

import scaling.commands.data  # noqa: E402
import sweeps.cli  # noqa: E402
from analysis.commands.analyze import analyze  # noqa: E402
from analysis.commands.choose import choose  # noqa: E402
from analysis.commands.report import report  # noqa: E402
from analysis.commands.status import status  # noqa: E402
from overhear import errors  # noqa: E402
from overhear.commands.claims import claims  # noqa: E402
from overhear.commands.coordinates import coordinates  # noqa: E402
from overhear.commands.erf import erf  # noqa: E402
from overhear.commands.export import export  # noqa: E402
from overhear.commands.measure import measure  # noqa: E402
from overhear.commands.predict import predict  # noqa: E402
from overhear.commands.scene import scene  # noqa: E402
from scaling.commands.app import App  # noqa: E402
from scaling.commands.settings import recipes, settings  # noqa: E402
from scaling.commands.train import train  # noqa: E402
from scaling.text import guarded  # noqa: E402

app = App(
    name="overhear",
    help="Study how large, how biased and how pruned audio classifiers should be to work on "
    "recording devices that were not in their training data.",
    epilog="--debug anywhere shows the traceback of an error.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = {  # as help lists them, by what they are about
    "Run a study": (
        sweeps.cli.studies,
        sweeps.cli.sweep,
        status,
        train,
        recipes,
        settings,
    ),
    "Read the results": (
        analyze,
        claims,
        choose,
        report,
    ),
    "Use a model": (predict, export, measure),
    "Look inside": (erf, scene, coordinates),
}
for heading, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=heading)(command)
app.add_typer(scaling.commands.data.app, name="data", rich_help_panel="Run a study")


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
    debug = errors.debugged()
    # what is imported stays: to look for garbage among it takes a fifth of the start, and half a
    # second at the end
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    warnings.simplefilter("always", UserWarning)
    # a manifest has more columns of text than pandas expects, each of which is a block of its own
    warnings.filterwarnings("ignore", "DataFrame is highly fragmented")
    warnings.showwarning = errors.warned_once()
    try:
        with guarded():
            code = errors.ran(app, debug)
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would say that it cannot
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        code = errors.UNREAD
    except Exception:  # only --debug lets one through
        sys.excepthook = errors.traced  # late, as typer puts its own there
        raise
    sys.exit(code)
