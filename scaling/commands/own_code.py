"""A person's own code: which of it a command runs is said before it runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from scaling.settings import Trial


def say_own(trials: "Iterable[Trial]") -> None:
    """Name the code of a person's own that trials import, on standard error."""
    from scaling.own import parts

    for place in parts.places(kind for trial in trials for kind in trial.own):
        typer.echo(f"runs code of your own: {place}", err=True)
