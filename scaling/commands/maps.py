"""The computing half of `overhear erf`: missing maps of a results folder's trials, line by line.

Heavy libraries are imported when the command runs, so that help is instant.
"""

from typing import TYPE_CHECKING

import typer

from scaling.commands.own_code import say_own

if TYPE_CHECKING:
    from scaling.commands.options import ClipOptions
    from scaling.machine import Machine
    from scaling.receptive_field.runs import Wanted


def compute_maps(
    results: str, trials: list[str], wanted: "Wanted", where: "ClipOptions", here: "Machine"
) -> str:
    """Compute missing ERF maps, printing a line for each; returns the split that they are of."""
    from scaling.receptive_field import runs as maps
    from scaling.results.records import Results
    from scaling.settings.label import trial_labels

    folder = Results(results)
    chosen = maps.trials(folder, trials)
    splits = {wanted.split or maps.usual_split(trial) for trial in chosen}
    if len(splits) > 1:
        raise ValueError(
            f"these trials are scored on {', '.join(sorted(splits))}: name one --split"
        )
    labels = trial_labels(chosen)
    say_own(chosen)
    found = maps.compute(folder, chosen, wanted, here, where.root, where.reading)
    for number, (trial, computed) in enumerate(found, start=1):
        if computed:
            named = f"{labels[trial.id]} ({trial.id})"
            typer.echo(f"{number}/{len(chosen)} {named}: map computed", err=True)
    return splits.pop()
