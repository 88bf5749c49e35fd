"""Departures from the few-data paper, most of them from its authors' public code."""

from scaling.settings.departures.departure import CODE, MINUTES, RECORDINGS, Departure, Paper

PAPER = Paper(
    "Pons et al. 2019, few data",
    "few_data",
    "few_data_esc10",
    (
        Departure(
            "training.epochs",
            "200",
            f"{CODE} leaves out the first: 199",
        ),
        Departure(
            "split.validation_fold",
            f"in {CODE} the fold after the test fold is set aside, and not used",
            "the same clips are trained on as there",
            "set aside too, though nothing is chosen by it",
        ),
        Departure(
            "draws of clips",
            "could not be read",
            "the defaults of the public code; few clips differ more",
            "20 at 1 and 2 clips of a class, 10 at 5 and 10, else 5",
        ),
        Departure(
            "queries of prototypes",
            f"5 of each class in each step, in {CODE}",
            "batches are drawn as everywhere",
            "5 times as many clips as classes, drawn from all",
            arm="few_data_as_published",
        ),
        Departure(
            "epochs of prototypes",
            f"in {CODE} over every patch of the training clips",
            "patches are drawn from clips, not listed",
            "over every clip, as often as it has such patches; for VGGish as often as for VGG",
            arm="few_data_as_published",
        ),
        Departure(
            "momentum of normalization",
            f"{CODE} has TensorFlow's .99, of whose first statistics 199 steps leave 13.5 %",
            "as in the public code; another is tried",
            "network.momentum=0.01, the share of the newest batch",
            arm="few_data_as_published",
        ),
        Departure(
            "examples of prototypes",
            f"one patch each of up to five clips, fixed, in the order of a set in {CODE}",
            "drawn from the seed, so that a trial is the same when resumed",
            "the same, in an order that the seed draws",
        ),
        Departure(
            "input of VGGish",
            f"16-bit files in {CODE}, resampled by another library",
            "nothing is gained by quantizing",
            "floating point, resampled by soxr",
        ),
        Departure(
            "clips that are scored",
            f"{CODE} drops the last batch of patches, and clips left without one",
            "accuracy is of all test clips",
            "all",
        ),
    ),
    {
        "sound.dataset": RECORDINGS,
        "sound.rate": MINUTES,
        "sound.seconds": "its clips are so long",
        "sound.features.hop": "frames overlap, so that a patch is as long as in the paper",
        "sound.fill": "no clip is shorter than a patch",
        "network.width": "half, for time",
        "evaluation.patch_hop": "four patches of a clip, for time",
    },
)
