"""Low-complexity scenes from few data (DCASE 2024, task 1): TAU 2022 Mobile, 5 to 100 %."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import CP_MOBILE, DCASE_BASELINE
from sweeps.claimed import at_each
from sweeps.study import product, repeats

QUESTION = "How well do the challenge's small networks classify scenes, by share of training clips?"
SOURCE = "DCASE 2024, task 1 (arXiv 2405.10018); CP-Mobile of Schmid et al. 2023"
PARTS = (
    *("tau2022_mobile_5", "tau2022_mobile_10", "tau2022_mobile_25"),
    *("tau2022_mobile_50", "tau2022_mobile"),
)
# Devices a, b, c and s1 to s3 train; s4 to s6 are heard in the test alone. Clips are 1 s long.
TASK = {"sound.seconds": 1.0, "split.train_devices": ("a", "b", "c", "s1", "s2", "s3")}
RUNS = 5  # as the published means are over
WITHOUT = {"augment.freq_mixstyle": 0.0}

CLAIMS = (
    Claim(
        "twenty times the clips help on unseen devices",
        {"sound.dataset": "tau2022_mobile"},
        {"sound.dataset": "tau2022_mobile_5"},
        source="arXiv 2405.10018: 42.40 % at 5 %, 56.99 % at 100 % of the clips, all devices",
    ),
    *at_each(
        [
            Claim(
                "Freq-MixStyle helps the baseline on unseen devices",
                {"augment.freq_mixstyle": 0.4},
                WITHOUT,
                where={"network.kind": "dcase_baseline"},
                source="arXiv 2405.10018: the baseline uses it against the mismatch of devices",
            )
        ],
        "sound.dataset",
        {"5 %": PARTS[0], "100 %": PARTS[-1]},
    ),
)


def trials() -> Iterator[Trial]:
    """The baseline and CP-Mobile (without teachers) on each official part, and the baseline without
    Freq-MixStyle on the smallest and the largest; five seeds. `--limit dcase` holds for all.
    """
    yield from repeats(_once(), RUNS)


def _once() -> Iterator[Trial]:
    baseline = changed(DCASE_BASELINE, {"sound.dataset": PARTS[-1], "sound.patch": 0, **TASK})
    mobile = changed(CP_MOBILE, {"sound.dataset": PARTS[-1], **TASK})
    for recipe in (baseline, mobile):
        yield from product(recipe, sound__dataset=PARTS)
    yield from product(changed(baseline, WITHOUT), sound__dataset=(PARTS[0], PARTS[-1]))
