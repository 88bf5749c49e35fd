"""Departures from the information bottleneck paper, and what it leaves open."""

from scaling.settings.departures.departure import (
    CODE,
    MINUTES,
    RECORDINGS,
    SILENT,
    Departure,
    Paper,
)

PAPER = Paper(
    "Hu et al. 2021, information bottleneck",
    "vib_esc50",
    "vib_esc10",
    (
        Departure(
            "split.protocol",
            f"80/10/10 or 60/20/20 %; how is not said; {CODE} draws by chance",
            "clips of one recording on both sides would be recognized, not classified; "
            "leaking_folds draws as they do",
            "made folds: clips of one recording are on one side",
            arm="vib_as_published",
        ),
        Departure(
            "TESS",
            "as the others",
            "its two speakers cannot be on three sides",
            "leaking_folds, by chance",
        ),
        Departure(
            "Audio-MNIST",
            "3,000 clips of AudioMNIST",
            f"the features in {CODE} are of these recordings",
            "fsdd, the Free Spoken Digit Dataset of 3,000 clips",
        ),
        Departure(
            "TUT",
            "3808/936/936 clips",
            "these sum to 5,680 of a set of 4,680: a misprint for 2808",
            "five folds: 60/20/20 %",
        ),
        Departure(
            "split.fraction",
            "a share of the training clips; whether class by class is not said",
            "at 5 % of ESC-50 some classes would have no clip (split.by_chance)",
            "each class gives its share; smaller shares are part of larger ones",
            arm="vib_as_published",
        ),
        Departure(
            "sound.features.kind",
            "MFCC, without a cosine transform",
            "40 bands and a logarithm are a log-mel spectrogram",
        ),
        Departure(
            "standardization",
            SILENT,
            "rates bear on it; as in the other recipes",
            "each band by mean and deviation of the training clips",
        ),
        Departure(
            "network.padding",
            SILENT,
            "the default of Keras, which the paper names",
            "none; kernels span 4 bands x 10 frames",
        ),
        Departure(
            "network.flatten",
            "a dense layer after pooling",
            "the literal reading: a bottleneck then has more parameters than its baselines; "
            "vib_table_esc10 has both",
        ),
        Departure(
            "initialization",
            SILENT,
            "shared with the other networks; Keras' own are Glorot's and 1e-7",
            "He's; Adam's epsilon 1e-8",
            arm="vib_as_published",
        ),
        Departure(
            "objective.offset",
            SILENT,
            f"off, as in the paper; {CODE} subtracts 5 first",
            "0: deviation = softplus(x)",
        ),
        Departure(
            "decoder",
            "an MLP",
            CODE,
            "one dense layer from the sample to the classes",
        ),
        Departure(
            "training.weight_decay",
            "lambda / 2 ||w||, unsquared",
            "a penalty of the norm itself is not what is called weight decay",
            "1e-4, L2 in Adam's gradient",
        ),
        Departure(
            "K and beta",
            "chosen on validation clips; by what is not said",
            f"{CODE} takes macro F1, and the best epoch",
            "by accuracy after the last epoch, each run for itself",
        ),
        Departure(
            "repeats",
            SILENT,
            "200 test clips alone leave 3.5 points open",
            "five seeds",
            arm="vib_splits",
        ),
        Departure(
            "vib_beta, vib_curves",
            "validation clips",
            "claims are of clips that nothing was chosen by; validation is drawn, too",
            "claims are of test clips",
        ),
    ),
    {
        "sound.dataset": RECORDINGS,
        "sound.rate": f"{MINUTES}; the hop stays, so half the frames a second",
        "sound.features.window": "40 ms, as in the paper",
        "split.protocol": "its own folds: three to train, one to choose, one to test by",
        "split.folds": "its own folds",
        "network.width": "a quarter, for time",
        "evaluation.every": "the last epoch counts; vib_curves_esc10 scores every second",
    },
)
