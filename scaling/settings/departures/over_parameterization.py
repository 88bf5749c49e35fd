"""Departures from the over-parameterization paper, and what it leaves open."""

from scaling.settings.departures.departure import (
    CODE,
    MINUTES,
    RECORDINGS,
    SILENT,
    Departure,
    Paper,
)

PAPER = Paper(
    "Koutini et al. 2021, over-parameterization",
    "tau2020",
    "esc10_microphones",
    (
        Departure(
            "network.damping",
            "the weight decays away from the centre; how far is not said",
            "the value of the file that the authors' workshop paper of 2020 added; their "
            "challenge model kept a tenth",
            "damped networks keep 0.01 of the outermost taps, on a straight line (0.99)",
        ),
        Departure(
            "split.protocol",
            "each pair of city and class is on one side; which, and how many, is not said",
            "each class is tested in three cities, each city with three classes",
            "30 of 100 pairs are held out, by a fixed rule",
        ),
        Departure("training.batch", SILENT, CODE),
        Departure(
            "training.warmup",
            "20 epochs, exponential",
            "the form that the first author's later code gives it",
            "exp(-5 (1 - epoch / 20)^2)",
        ),
        Departure(
            "training.final",
            "a linear decay to 1e-6; where it begins is not said",
            "nothing lies between the two phases that are named",
            "it begins after the warm-up and ends in the last epoch",
        ),
        Departure(
            "augment.roll", "the wave is rolled; how far is not said", f"50 frames, as {CODE}"
        ),
        Departure(
            "augment.mixup",
            "alpha 0.3",
            f"{CODE} does so",
            "alpha 0.3; each clip has its own weight, folded to at least a half",
        ),
        Departure("sound.features.range_db", SILENT, f"librosa's default, which is in {CODE}"),
        Departure(
            "standardization",
            SILENT,
            CODE,
            "each band by mean and deviation of the training clips",
        ),
        Departure(
            "network.initialization",
            SILENT,
            "the public ancestor of the network; from He's, magnitudes cut other layers",
            "fixup: the second convolution of a block and the classifier begin at zero",
            arm="sparse_width_as_published",
        ),
        Departure(
            "details of the network",
            "Table 1: blocks, channels, pooling",
            "the public ancestor of the network",
            "padding of k // 3, no biases, normalization after the classifier",
        ),
        Departure(
            "pruning.score",
            "the lowest magnitudes go; damped weights go first, as they are lower",
            f"only so do damped weights go first; {CODE} ranks weights without damping",
            "kernel: magnitudes of weight x damping",
        ),
        Departure(
            "pruning.start",
            "the number cut in an epoch decays exponentially; when is not said",
            "after the warm-up, and long before the end",
            "from epoch 20 on, over 50 epochs; the same share of what is left in each",
        ),
        Departure(
            "pruning.guard",
            "a layer of which more than 99 % is cut is left alone",
            "a single cut may otherwise empty a layer",
            "no cut may take a layer beyond 99 %; others give the rest",
            arm="sparse_width_as_published",
        ),
        Departure(
            "what is cut",
            "weights",
            "as the public code of Golubeva et al. counts",
            "of convolutions and dense layers, classifier included; no normalization",
        ),
        Departure(
            "sparse_width",
            "the figures of receptive fields are of K = 0",
            "Table 1's baseline; the figures' models are in erf, at K = 0",
            "K = 1",
            arm="sparse_width_as_published",
        ),
        Departure(
            "erf",
            "350 epochs for pruned networks",
            "dense ones are those of the other studies",
            "350 epochs for pruned networks, 250 for the dense ones beside them",
            arm="erf_as_published",
        ),
        Departure(
            "depth, pointwise, joint",
            "which sizes is not said",
            "around the baseline, D = 1 and K = 1, and up from it",
            "D = 1 to 5, K = 0 to 5, five pairs of width and depth",
        ),
        Departure(
            "random_labels",
            "85.51 % and 100 % of random labels are fitted; how is not said",
            "fitting must be possible: a rolled or mixed clip is another one",
            "labels drawn once for each clip, no augmentation, training clips scored as test "
            "clips are",
        ),
        Departure(
            "sound.features.kind",
            "perceptual weighting",
            "as in the paper; studies at CPU scale hear log-mel bands",
            arm="front_ends_esc10",
        ),
        Departure(
            "unseen devices at CPU scale",
            "simulated devices: another microphone, and compression",
            "as TAU's device a, seen clips are as recorded; that both differ can be told apart",
            "microphones, and compression after them",
            arm="compression_esc10",
        ),
        Departure(
            "effective receptive fields",
            "of a single pixel of the penultimate layer",
            f"the text; {CODE} sums class scores instead (overhear erf --kind logits)",
            "the middle pixel, summed over its channels",
        ),
    ),
    {
        "sound.dataset": RECORDINGS,
        "sound.seconds": "its clips are so long",
        "sound.features.kind": "on validation clips of ESC-10 ahead of perceptual features",
        "sound.features.hop": "a width of 64 then costs minutes; all 256 bands stay, so that "
        "a depth of 1 sees 65 % of them, as in the paper",
        "split.protocol": "its own folds, clips of one recording in one",
        "split.fold": "folds count from 1",
        "split.train_devices": "ESC-10 names no devices: microphones take their place",
        "network.width": MINUTES,
        "training.epochs": "half of recipe esc10, for time",
        "training.batch": "recipe esc10",
        "training.rate": "recipe esc10, chosen on its validation clips",
        "training.warmup": "a sixth of training, as in recipe esc10",
        "training.stepping": "an epoch is 20 steps: rates that change by the epoch jump",
        "augment.roll": "reaches any shift of a clip",
        "evaluation.every": "only the last ten epochs are averaged",
        "microphones.test": "four measured microphones, from weak to strong coloration; all twelve "
        "in studies that train through none",
        "microphones.ratio": "dynamic-range compression, as TAU's simulated devices have it",
        "microphones.threshold_db": "likewise",
    },
)
