"""Errors: what a command says where something went wrong, and the code that it exits with.

Errors that a person can mend are one line on standard error and exit code 2; `--debug` shows where
they came from. Contents: the codes; `ran`, `debugged`, `warned_once`, `traced`.
"""

import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import cast

import typer

from scaling.text import guarded, one_line
from scaling.warned import OURS, warner

NOT_ASKED = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)
FAULT, INTERRUPTED, UNREAD = 70, 130, 141  # exit codes: see main
# click's own error, wherever this version of typer keeps click
USAGE = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def warned_once() -> Callable[..., None]:
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


def debugged() -> bool:
    """Whether --debug is among the words before `--`, where it is taken out."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    rest = [word for word in words[:end] if word != "--debug"]
    sys.argv[1:] = rest + words[end:]
    return len(rest) < end


def ran(app: typer.Typer, debug: bool) -> int:
    """Run the command; its exit code, after one line where something went wrong."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except USAGE as error:
        asked = error.ctx.command_path if error.ctx else "overhear"
        if line := _usage(error):  # else its help has been printed
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


def _usage(error: typer.BadParameter) -> str:
    """What is wrong on the command line: `--hop 'x' is not a number, such as 0.5`."""
    param = getattr(error, "param", None)
    if type(error) is not typer.BadParameter or param is None:
        return error.format_message()
    name = param.metavar if param.param_type_name == "argument" else param.opts[0]
    return f"{name} {error.message.removeprefix('Value error, ')}"


def _told(message: object) -> str:
    """What may be printed of an error: one line, without the secrets of addresses in it or on the
    command line.
    """
    from scaling.storage import scrubbed  # loads pyarrow, which help does without

    return one_line(scrubbed(str(message), *sys.argv[1:]))


def _say(line: str, code: int) -> int:
    print(f"overhear: {_told(line)}", file=sys.stderr)
    return code


def traced(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What --debug shows; names in it may hold what a terminal would obey, or a secret."""
    from scaling.storage import scrubbed

    with guarded():
        lines = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(scrubbed(lines, *sys.argv[1:]))
