"""The one command: joins the sub-commands of the three packages.

Errors that a person can mend are one line on standard error and exit code 2; `--debug` shows where
they came from.
"""

import sys
import warnings

import typer

import analysis.cli
import scaling.cli
import sweeps.cli

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


def main() -> None:
    """Run the command line; never returns."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    warnings.formatwarning = lambda message, *_, **__: f"overhear: warning: {message}\n"
    try:
        app()
    except (ValueError, OSError) as error:
        if debug:
            raise
        print(f"overhear: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
