"""Width at equal numbers of weights, as in Figure 6: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.studies.sparse_width import claims
from sweeps.study import product

QUESTION = "Does width help if the number of weights stays the same?"
SOURCE = "Koutini et al. 2021, Figure 6, at CPU scale on ESC-10 through microphones"
CLAIMS = (
    *claims(8, (16, 32)),
    Claim(
        "cutting by magnitude from He's initialization beats cutting at random on unseen devices",
        better={"pruning.kind": "magnitude", "network.initialization": "he"},
        worse={"pruning.kind": "static", "network.initialization": "fixup"},
        source="ours: from the other initialization layers that begin at zero are cut first",
    ),
)


def trials() -> Iterator[Trial]:
    """W = 8, and W = 16 and 32 cut to its weights, base and damped, each on five folds.

    By magnitude also from He's initialization, with its own dense network: layers that begin at
    zero are cut first, down to the guard, which at these widths leaves 7 weights of a classifier
    for ten classes (LOG.md, 2026-11-21).
    """
    varied = {"split__fold": (1, 2, 3, 4, 5), "network__damping": (0.0, DAMPED)}
    cut = {"pruning.kind": "static", "pruning.target_width": 8}
    magnitude = {"pruning.kind": "magnitude", "pruning.start": 5, "pruning.length": 10}
    score = {"pruning.score": "kernel"}
    he = changed(ESC10_EVERY_MICROPHONE, {"network.initialization": "he"})
    for dense in (ESC10_EVERY_MICROPHONE, he):
        yield from product(dense, **varied, network__width=(8,))
        yield from product(
            changed(dense, {**cut, **magnitude, **score}), **varied, network__width=(16, 32)
        )
    yield from product(changed(ESC10_EVERY_MICROPHONE, cut), **varied, network__width=(16, 32))
