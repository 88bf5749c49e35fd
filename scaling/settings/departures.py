"""Where recipes and studies depart from their papers, and where those are silent, with the reason.

docs/departures.md is made from this. A departure is of a setting, whose value a recipe states, or
of what no setting says. What recipes for CPUs change against those at the paper's scale has a
reason for each setting. Contents: Departure, Paper, PAPERS; `rows`, `smaller`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scaling.settings.fields import flat
from scaling.settings.recipes import RECIPES

SILENT = "silent"
CODE = "the authors' public code"
RECORDINGS = "real recordings, few enough for two cores"
MINUTES = "so that a trial takes minutes on two cores"


class Departure(NamedTuple):
    """One thing that is not as the paper has it, or that it does not say."""

    what: str  # a dotted setting; or in words
    paper: str  # what the paper says
    why: str
    here: str = ""  # what is done here; "": the setting's value in the recipe


class Paper(NamedTuple):
    """A paper with the recipes that follow it."""

    title: str
    recipe: str  # at its scale
    small: str  # at CPU scale
    departures: tuple[Departure, ...]
    smaller: Mapping[str, str]  # setting that `small` changes -> why


PAPERS = (
    Paper(
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
            ),
            Departure(
                "erf",
                "350 epochs for pruned networks",
                "dense ones are those of the other studies",
                "350 epochs for pruned networks, 250 for the dense ones beside them",
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
            "microphones.test": "four measured microphones, from weak to strong coloration",
            "microphones.ratio": "dynamic-range compression, as TAU's simulated devices have it",
            "microphones.threshold_db": "likewise",
        },
    ),
    Paper(
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
                "repeats", SILENT, "200 test clips alone leave 3.5 points open", "five seeds"
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
    ),
    Paper(
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
    ),
    Paper(
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
            ),
            Departure(
                "epochs of prototypes",
                f"in {CODE} over every patch of the training clips",
                "patches are drawn from clips, not listed",
                "over every clip, as often as it has such patches; for VGGish as often as for VGG",
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
    ),
)


def rows(paper: Paper) -> Iterator[tuple[str, str, str, str]]:
    """What, what the paper says, what is done here, and why, of each departure of a paper."""
    stated = flat(RECIPES[paper.recipe])
    for each in paper.departures:
        yield each.what, each.paper, each.here or _text(stated[each.what]), each.why


def smaller(paper: Paper) -> Iterator[tuple[str, str, str, str]]:
    """Setting, its value at the paper's scale and at CPU scale, and why, where the two differ."""
    large, small = (flat(RECIPES[name]) for name in (paper.recipe, paper.small))
    for name, value in small.items():
        if value != large[name]:
            yield name, _text(large[name]), _text(value), paper.smaller.get(name, "")


def _text(value: Any) -> str:
    """A value as it is read: numbers short, lists with spaces."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace(",", ", ") or "none"
