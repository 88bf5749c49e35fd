"""Cautions: what a reader of figures must know and would not see in them.

Contents: cautions.
"""

from collections.abc import Iterator, Mapping

from analysis.data import Data
from scaling import settings
from scaling.results.outcome import Status


def cautions(data: Data, tally: Mapping[str, int], default: bool) -> Iterator[str]:
    """A line for each: trials that did not end complete, by the `tally` of their statuses, that no
    manifest plans or that have fewer epochs than are averaged; several values of evaluation.last,
    where nobody named one (`default`); several versions of a dataset; and settings that only a
    newer Overhear knows.
    """
    snapshot, scores = data.snapshot, data.scores()
    left_out = [f"{n} {state}" for state, n in tally.items() if n and state != Status.COMPLETE]
    if left_out:
        yield f"{', '.join(left_out)} of {sum(tally.values())} trials are in no figure"
    unplanned = len(set(snapshot.outcomes["trial"]) - set(snapshot.manifest["trial"]))
    if unplanned:
        yield f"{unplanned} trials that no manifest plans are in no figure"
    short = scores.loc[scores["epochs"] < data.last, "trial"].nunique()
    if short:
        yield f"{short} trials have fewer than last={data.last} evaluated epochs: all were averaged"
    planned, known = data.manifest, settings.leaves()
    for name in (n for n in map(str, planned) if "." in n and n not in known):
        if planned[name].nunique(dropna=False) > 1:
            yield (
                f"trials differ in {name}, a setting that this Overhear does not know, and count "
                "as alike in it: update Overhear"
            )
    stated = sorted(planned["evaluation.last"].unique())
    if default and len(stated) > 1:
        several = " and ".join(map(str, stated))
        yield f"trials state evaluation.last={several}: only the last epoch counts without --last"
    # behind a + stand the microphones, which a study may vary
    clips = planned["data_digest"].str.partition("+")[0]
    # a digest of an earlier form names the same clips otherwise: only like is compared
    forms = clips.str.startswith("2-")
    for form in (clips[forms], clips[~forms]):
        digests = form.groupby(planned["sound.dataset"]).nunique()
        for dataset in digests.index[digests > 1]:
            yield f"the trials saw {digests[dataset]} versions of {dataset}: data_digest differs"
