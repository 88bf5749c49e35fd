"""Effective receptive fields of scaled variants, as in Figure 7: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE
from sweeps.studies.erf_scaled import variants

QUESTION = "How does the effective receptive field grow with depth, compared with the maximum one?"
SOURCE = "Koutini et al. 2021, Figure 7, at CPU scale on ESC-10 through microphones"


def trials() -> Iterator[Trial]:
    """Like variants, on one fold: depths are trials of `depth_esc10`, the wider one of
    `width_esc10`, that of more 1x1 blocks of `pointwise_esc10`.
    """
    yield from variants(ESC10_EVERY_MICROPHONE, (0, 1, 2, 3), 64, 4)
