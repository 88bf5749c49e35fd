"""Libraries that not every machine has: imported when a front end needs them, or one clear line."""

import importlib
from typing import Any


def imported(module: str, library: str) -> Any:
    """A library that not every machine has; OSError and RuntimeError: built for another torch.

    Raises ValueError where it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"it cannot be imported ({str(error).splitlines()[0]})"
        raise ValueError(missing(library, reason)) from None


def missing(library: str, reason: str) -> str:
    """The one line for a library that is not there."""
    return f"this front end needs {library}, {reason}: install it, or take another"
