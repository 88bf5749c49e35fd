"""Trained on: the packed clips of recorded trials, if they are those that these learnt from."""

from collections.abc import Callable, Sequence
from pathlib import Path

from scaling.results.records import Results
from scaling.settings import Trial
from scaling.sound import prepare
from scaling.sound.clip_table import same
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from scaling.sound.store import Store


def stored(
    results: Results,
    trials: Sequence[Trial],
    root: str | Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Callable[[Trial], Store]:
    """Pack the clips of these trials; what gives each trial its own, and raises ValueError for
    other clips than those that it was trained on.

    Raises as `prepare.scan` and `prepare.stores` do, datasets.Missing where they are not here.
    """
    clips = prepare.scan(trials, root, reading)
    stores = prepare.stores(trials, clips)
    digests, glances = prepare.digests(trials, stores), prepare.glances(trials, stores)
    planned = results.read("manifest").select(["trial", "data_digest"]).to_pylist()
    trained_on = {row["trial"]: row["data_digest"] for row in planned}

    def of(trial: Trial) -> Store:
        before, now = trained_on[trial.id], digests[trial.id]
        if not same(before, now, glances[trial.id]):
            raise ValueError(
                f"trial {trial.id} was trained on other clips (digest {before}) than these ({now}):"
                " name their place with --root, and say --column and --group-from as the sweep did"
            )
        return stores[prepare.store_key(trial)]

    return of
