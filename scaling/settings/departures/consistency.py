"""Departures from the consistency paper, and what it leaves open."""

from scaling.settings.departures.departure import MINUTES, RECORDINGS, SILENT, Departure, Paper

PAPER = Paper(
    "Iqbal et al. 2021, consistency",
    "consistency_esc50",
    "consistency_esc10",
    (
        Departure(
            "training.passes",
            "not said; read literally, views take three times the steps",
            "else more steps are compared, not views; --set training.passes=1 is the paper's "
            "literal reading",
            "all models take as many clips a step and as many steps an epoch",
            arm="consistency_as_published",
        ),
        Departure(
            "augment.transform_share",
            "instances are sampled from the augmented set; how many is not said",
            "as many as among three views",
            "two of three clips of a standard batch are transformed",
        ),
        Departure("sound.rate", SILENT, "the recordings' own"),
        Departure(
            "standardization",
            SILENT,
            "rates bear on it; as in the other recipes",
            "each band by mean and deviation of the training clips",
        ),
        Departure(
            "details of the network",
            "eight convolutions, their channels, one dense layer",
            "the first author's public network of that time",
            "3x3, pooling after every second, ReLU after normalization",
        ),
        Departure(
            "copies, ramp, lambda",
            "two copies beat one, a ramp helps, lambda = 7.5 does as well as 5; no numbers",
            "as in the paper",
            "2 copies, a ramp of 10 epochs, 5; the others are tried",
            arm="consistency_as_published",
        ),
        Departure(
            "pitch",
            "ten shifts; with which tool is not said",
            "exact length and level, and ten shifts of 400 clips in minutes",
            "a phase vocoder, then soxr; copies are made once",
        ),
        Departure(
            "reverb",
            "500 random rooms of 0.2 to 1 s; how is not said",
            "measured, as simulation misses the time that is wished for by up to a factor of 2",
            "shoebox rooms by image sources, their reverberation time measured",
        ),
        Departure(
            "mask",
            "as SpecAugment; sizes are not said",
            "the first author's public code; 0 on decibels is no silence",
            "8 masks of up to 7 frames, 2 of up to 7 bands, filled with the band's mean",
        ),
        Departure(
            "repeats",
            "standard errors; of how many runs is not said",
            "the paper's gains are of one to three standard errors",
            "five seeds on each of five folds",
        ),
    ),
    {
        "sound.dataset": RECORDINGS,
        "sound.rate": MINUTES,
        "sound.features.window": "23 ms, as in the paper",
        "sound.features.hop": "windows one after another: fewer frames, for time",
        "sound.features.mels": MINUTES,
        "network.width": "an eighth, for time",
        "training.epochs": "for time",
        "training.batch": "the training set is a fifth: 16 clips in three views",
        "training.decay_every": "fewer epochs, about as many decays: 30 for 36",
        "evaluation.every": MINUTES,
        "evaluation.training_clips": "whether these small networks fit",
    },
)
