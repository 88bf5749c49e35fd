"""Settings: the parts of a Trial, each a frozen, checked group of what can be varied.

Conventions: those of scaling.config, from where they are imported: a default means "off" (or the
plain choice); a setting that changes nothing is refused, for it would rename the trial; a check
that needs two parts stands with Trial. Contents: Part, and one class for each part.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

RECORDED = {"recorded": True}  # the context in which settings of an earlier version are read


class Part(BaseModel):
    """A frozen, checked piece of a Trial; unknown names and non-finite numbers are refused, and so
    are settings that change nothing, unless they are read from a record that has them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    def idle(self) -> Iterator[tuple[str, str]]:
        """Fields that change nothing beside the others, and what they would need; stated or not."""
        yield from ()

    @model_validator(mode="after")
    def _all_have_an_effect(self, info: ValidationInfo) -> Self:
        if (info.context or {}).get("recorded"):
            return self
        for dotted, needed in self.idle():
            *parents, name = dotted.split(".")
            part: Part = self
            for parent in parents:
                part = getattr(part, parent)
            value, off = getattr(part, name), type(part).model_fields[name].default
            if value != off:
                raise ValueError(
                    f"{dotted}={_written(value)} changes nothing: {needed}; leave it at "
                    f"{_written(off)}"
                )
        return self


def _written(value: Any) -> str:
    """A value as a person would type it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Features(Part):
    """What the front end computes from a wave; scaling.sound.frontends says how."""

    kind: Literal["perceptual", "log_mel", "vggish"]
    window: Annotated[
        int,
        Field(ge=16, le=65536, description="STFT window and FFT size (vggish: next power of two)"),
    ]
    hop: Annotated[int, Field(ge=1, description="samples from frame to frame")]
    mels: Annotated[
        int,
        Field(ge=1, le=1024, description="mel bands, Slaney's scale and norm; vggish: HTK's, none"),
    ]
    low: Annotated[float, Field(ge=0, description="lower edge of the lowest band, Hz")] = 0.0
    high: Annotated[float, Field(ge=0, description="upper edge, Hz; 0: half the rate")] = 0.0
    range_db: Annotated[
        float, Field(ge=0, description="floor, dB below the clip's loudest value; 0: no floor")
    ] = 0.0
    floor: Annotated[
        float, Field(ge=0, le=1, description="least power, whatever the clip; 0: 1e-10, -100 dB")
    ] = 0.0

    def idle(self) -> Iterator[tuple[str, str]]:
        """Floors, where there is another."""
        if self.kind == "vggish":
            for name in ("range_db", "floor"):
                yield name, f"kind=vggish has no {name}, it adds 0.01 before the logarithm"

    @model_validator(mode="after")
    def _floors_fit(self) -> Self:
        if 0 < self.floor < 1e-30:
            raise ValueError(f"floor={self.floor:g}: float32 needs 1e-30 or more, or 0 for 1e-10")
        return self


class Sound(Part):
    """Which recordings, and what of them reaches the network."""

    dataset: Annotated[str, Field(min_length=1, description="a name of `overhear data list`")]
    rate: Annotated[int, Field(ge=1000, le=192_000, description="samples per second, Hz")]
    seconds: Annotated[
        float, Field(gt=0, le=600, description="length of a clip: longer cut, shorter zero-padded")
    ]
    features: Features
    classes: Annotated[
        tuple[str, ...], Field(description="only clips of these classes; empty: all")
    ] = ()
    fill: Annotated[
        Literal["zeros", "tile"], Field(description="behind a short clip: nothing, or it again")
    ] = "zeros"
    patch: Annotated[
        int,
        Field(ge=0, description="frames that the network sees at once, of all; 0: the whole clip"),
    ] = 0

    @property
    def samples(self) -> int:
        """Length of one clip in samples at `rate`."""
        return round(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        """Frames of one clip: centred, the first at sample 0; those of vggish begin there, and are
        whole.
        """
        features = self.features
        last = self.samples - (features.window if features.kind == "vggish" else 0)
        return 1 + last // features.hop

    @property
    def shape(self) -> tuple[int, int]:
        """Size of what the network is given: mel bands x frames of a clip, or of a patch of it."""
        return self.features.mels, self.patch or self.frames

    @model_validator(mode="after")
    def _patch_fits(self) -> Self:
        if self.patch > self.frames:
            raise ValueError(
                f"patch={self.patch} frames: a clip of seconds={self.seconds:g} has {self.frames}: "
                "longer clips (fill=tile repeats short ones) or a shorter patch"
            )
        if twice := sorted({name for name in self.classes if self.classes.count(name) > 1}):
            raise ValueError(f"classes names {twice[0]} twice: name each class once")
        if len(self.classes) == 1:
            raise ValueError(f"classes={self.classes[0]}: two at least are needed to tell apart")
        return self

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        nyquist = self.rate / 2
        low, high = self.features.low, self.features.high or nyquist
        if not low < high <= nyquist:
            raise ValueError(
                f"features.low={low:g} and features.high={high:g} must satisfy low < high <= "
                f"{nyquist:g} Hz, "
                f"half of rate={self.rate}"
            )
        window, whole = self.features.window, self.features.kind == "vggish"
        if self.samples < (needed := window if whole else window - window // 2 + 1):
            why = "frames are whole" if whole else "edges are reflected"
            raise ValueError(
                f"seconds={self.seconds:g} is {self.samples} samples, but a window of {window} "
                f"needs more than {needed - 1} ({why}): longer clips or a shorter window"
            )
        return self


class Split(Part):
    """Which clips train, which are held out; scaling.sound.splits says how."""

    protocol: Literal["folds", "made_folds", "leaking_folds", "pairs"]
    fold: Annotated[
        int,
        Field(ge=0, description="the fold held out for the test; pairs: the rotation"),
    ]
    validation_fold: Annotated[
        int | None, Field(ge=0, description="a second fold held out, to choose by; null: none")
    ] = None
    folds: Annotated[
        int, Field(ge=0, le=1000, description="made folds: how many to make, numbered from 1")
    ] = 0
    train_devices: Annotated[
        tuple[str, ...], Field(description="devices trained on; empty: all; the rest are unseen")
    ] = ()
    pairs_share: Annotated[
        float, Field(gt=0, lt=1, description="pairs: share of (city, class) pairs held out")
    ] = 0.3
    fraction: Annotated[
        float, Field(gt=0, le=1, description="share of the training clips that is trained on")
    ] = 1.0
    clips_per_class: Annotated[
        int, Field(ge=0, description="training clips of each class that are trained on; 0: all")
    ] = 0
    by_chance: Annotated[
        bool, Field(description="draw that share over all clips, not class by class")
    ] = False
    pairs_seed: Annotated[
        int, Field(ge=0, description="pairs: order of cities and classes; 0: alphabetical")
    ] = 0
    labels: Annotated[
        Literal["true", "uniform", "permuted"],
        Field(description="what training clips are taught: drawn once per clip from the seed"),
    ] = "true"

    unseen: Annotated[
        Literal["fold", "all"],
        Field(description="unseen devices are tested in the test fold, or with all their clips"),
    ] = "fold"

    def idle(self) -> Iterator[tuple[str, str]]:
        """Devices that are not trained on exist where some are; shares are drawn of something."""
        if not self.train_devices:
            yield "unseen", "no device is left out of training without train_devices"
        if self.fraction == 1:
            yield "by_chance", "fraction=1 takes all clips"
        if self.protocol != "pairs":
            for name in ("pairs_share", "pairs_seed"):
                yield name, "only protocol=pairs holds pairs out"

    @model_validator(mode="after")
    def _folds_differ(self) -> Self:
        if self.validation_fold == self.fold:
            raise ValueError(f"validation_fold={self.fold} is the test fold: name another one")
        made = self.protocol in ("made_folds", "leaking_folds")
        if made != (self.folds >= 2):
            raise ValueError(
                f"protocol={self.protocol} with folds={self.folds}: made_folds and leaking_folds "
                "need folds >= 2, the others take none"
            )
        if self.clips_per_class and (self.fraction < 1 or self.by_chance):
            raise ValueError(
                f"clips_per_class={self.clips_per_class} and fraction={self.fraction:g}: name one"
            )
        if self.protocol == "pairs" and self.unseen == "all":
            raise ValueError(
                "unseen=all: protocol=pairs holds every device's clips of a pair out, as devices "
                "recorded the same scenes; leave it at fold"
            )
        return self


class Network(Part):
    """A network as numbers; scaling.networks builds it and counts its cost."""

    kind: Literal["cp_resnet", "vib_cnn", "vgg9", "sb_cnn", "vgg5", "timbre", "vggish", "mfcc"]
    width: Annotated[
        int,
        Field(ge=1, le=4096, description="W: channels of the first stage; timbre: per class"),
    ]
    depth: Annotated[
        int, Field(ge=0, le=64, description="cp_resnet: D, 3x3 blocks of width 2W")
    ] = 0
    pointwise: Annotated[
        int, Field(ge=0, le=64, description="cp_resnet: K, 1x1 blocks of width 4W")
    ] = 0
    damping: Annotated[
        float,
        Field(ge=0, le=1, description="0: plain kernels; 1: outermost frequency taps are zero"),
    ] = 0.0
    initialization: Annotated[
        Literal["fixup", "he"], Field(description="cp_resnet's; the others have one each")
    ] = "fixup"
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, description="share of channels dropped; cp_resnet: behind its blocks"),
    ] = 0.0
    flatten: Annotated[
        bool, Field(description="vib_cnn: dense layer on the whole map; off: on its mean")
    ] = False
    padding: Annotated[
        Literal["valid", "same"], Field(description="vib_cnn: same: zeros around every map")
    ] = "valid"
    input_norm: Annotated[
        Literal["channel", "time"],
        Field(description="vgg5: time: its input is normalized frame by frame"),
    ] = "channel"
    linear_embedding: Annotated[
        bool, Field(description="vggish: no ReLU behind the embedding; off: as published")
    ] = False

    def idle(self) -> Iterator[tuple[str, str]]:
        """What only one kind of network has, and what the smallest have not."""
        owner = dict.fromkeys(("depth", "pointwise", "initialization"), "cp_resnet")
        owner |= dict.fromkeys(("flatten", "padding"), "vib_cnn")
        owner |= {"input_norm": "vgg5", "linear_embedding": "vggish"}
        for name, kind in owner.items():
            if kind != self.kind:
                yield name, f"{self.kind} has no {name}, only {kind} has"
        if self.kind == "timbre":
            yield "dropout", "timbre's only maps are those of its scores"
        if self.kind == "mfcc":
            for name in ("dropout", "damping"):
                yield name, "mfcc has no layers"


class Training(Part):
    """How long, how fast."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch: Annotated[
        int, Field(ge=2, description="clips per step; a last, partial batch is dropped")
    ]
    passes: Annotated[
        int, Field(ge=1, le=1000, description="passes over the training clips in an epoch")
    ] = 1
    rate: Annotated[float, Field(gt=0, le=10, description="peak learning rate")]
    partial: Annotated[
        bool, Field(description="keep the last, partial batch, unless it is of one clip")
    ] = False
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    penalty: Annotated[
        float,
        Field(ge=0, le=1, description="L2: of half the squared weights of kernels, in the loss"),
    ] = 0.0
    clip: Annotated[
        float, Field(ge=0, le=1e6, description="largest norm of the gradient; 0: any")
    ] = 0.0
    warmup: Annotated[float, Field(ge=0, description="epochs of exponential warm-up; 0: none")] = (
        0.0
    )
    final: Annotated[
        float, Field(gt=0, le=1, description="last rate over peak, reached linearly; 1: no decay")
    ] = 1.0
    stepping: Literal["epoch", "step"] = "epoch"
    decay: Annotated[
        float, Field(gt=0, le=1, description="factor of the rate every `decay_every` epochs")
    ] = 1.0
    decay_every: Annotated[int, Field(ge=1, description="epochs from one decay to the next")] = 1
    patience: Annotated[
        int,
        Field(ge=0, description="stop behind more epochs that fit training clips no better; 0: no"),
    ] = 0
    patience_counts: Annotated[
        Literal["consecutive", "all"],
        Field(description="those since the best fit, or all that ever were no better"),
    ] = "consecutive"

    def idle(self) -> Iterator[tuple[str, str]]:
        """What schedules and patience need to matter."""
        if self.decay == 1:
            yield "decay_every", "decay=1 never lowers the rate"
        if not self.warmup and self.final == 1:
            yield "stepping", "without warmup and final the rate does not change within an epoch"
        if not self.patience:
            yield "patience_counts", "patience=0 never ends training"

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.epochs and self.warmup > 0:
            raise ValueError(f"warmup={self.warmup:g} must end before epochs={self.epochs}")
        return self


class Augment(Part):
    """What happens to training clips before the network sees them; scaling.sound.augment says
    how.
    """

    roll: Annotated[
        float, Field(ge=0, description="largest circular shift of the wave either way, seconds")
    ] = 0.0
    mixup: Annotated[float, Field(ge=0, description="alpha of the Beta distribution; 0: none")] = (
        0.0
    )
    transform: Annotated[
        Literal["none", "pitch", "reverb", "mask", "combination"],
        Field(description="what else may happen to a clip; combination: pitch or reverb"),
    ] = "none"
    transform_share: Annotated[
        float,
        Field(ge=0, le=1, description="share of clips transformed, where the objective has 1 view"),
    ] = 0.0


class Microphones(Part):
    """Clips as other devices would record them; scaling.sound.microphones says how.

    Names are those of impulse responses (files without ending) in the folder `responses` beside the
    datasets. Held-out clips as recorded, and through `train`, are seen; through `test`, unseen.
    """

    responses: Annotated[str, Field(min_length=1, description="folder below a data root")] = (
        "MicIRP"
    )
    train: Annotated[
        tuple[str, ...], Field(description="microphones that training clips may be heard through")
    ] = ()
    share: Annotated[
        float, Field(ge=0, le=1, description="share of training clips heard through one of `train`")
    ] = 0.0
    test: Annotated[
        tuple[str, ...], Field(description="microphones never heard in training: unseen devices")
    ] = ()
    ratio: Annotated[
        float, Field(ge=1, le=100, description="dynamic-range compression behind them; 1: none")
    ] = 1.0
    threshold_db: Annotated[
        float, Field(ge=-100, le=0, description="where it begins, dB against the clip's peak level")
    ] = 0.0

    def idle(self) -> Iterator[tuple[str, str]]:
        """What microphones need to matter, and compression."""
        if not self.heard:
            for name in ("responses", "ratio"):
                yield name, "no microphone is named in train or test"
        if self.ratio == 1:
            yield "threshold_db", "ratio=1 compresses nothing"
        if self.threshold_db == 0:
            yield "ratio", "threshold_db=0 is the clip's peak, above which nothing is"

    @property
    def heard(self) -> tuple[str, ...]:
        """Every microphone that is needed."""
        return (*self.train, *self.test)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if both := sorted(set(self.train) & set(self.test)):
            raise ValueError(f"{both[0]} is named in train and in test: unseen means never trained")
        for name in ("train", "test"):
            listed = getattr(self, name)
            if twice := sorted({word for word in listed if listed.count(word) > 1}):
                raise ValueError(f"{name} names {twice[0]} twice: name each microphone once")
        if (self.share > 0) != bool(self.train):
            raise ValueError(
                f"share={self.share:g} with {len(self.train)} training microphones: "
                "name both or neither"
            )
        return self


class Pruning(Part):
    """Which weights are cut, and when; scaling.pruning says how."""

    kind: Literal["none", "static", "magnitude"] = "none"
    target: Annotated[
        int, Field(ge=0, description="weights kept in the end; 0: those at target_width")
    ] = 0
    target_width: Annotated[
        int, Field(ge=0, le=4096, description="keep as many as this network has at this width")
    ] = 0
    initialization: Annotated[
        Literal["keep", "rescale", "uniform"],
        Field(description="static: what is left keeps its draw, is widened, or is drawn anew"),
    ] = "keep"
    schedule: Literal["geometric", "saturating", "ramp"] = "geometric"
    start: Annotated[int, Field(ge=0, description="magnitude: epochs trained before")] = 0
    length: Annotated[int, Field(ge=1, description="magnitude: epochs of pruning")] = 50
    rate: Annotated[float, Field(gt=0, le=100, description="saturating: a; larger: sooner")] = 5.0
    score: Annotated[
        Literal["weight", "kernel"],
        Field(description="magnitude of the weight, or of weight x damping"),
    ] = "weight"
    guard: Annotated[
        float, Field(gt=0, le=1, description="magnitude: sparsity that no layer exceeds; 1: none")
    ] = 0.99

    def idle(self) -> Iterator[tuple[str, str]]:
        """What belongs to the other way of pruning, or to none."""
        if self.kind == "none":
            names = [name for name in type(self).model_fields if name != "kind"]
            yield from ((name, "kind=none prunes nothing") for name in names)
        if self.kind == "static":
            for name in ("schedule", "start", "length", "rate", "score", "guard"):
                yield name, "only kind=magnitude cuts while it trains"
        if self.kind == "magnitude":
            yield "initialization", "only kind=static cuts before training"
            if self.schedule != "saturating":
                yield "rate", f"schedule={self.schedule} has none, only saturating has"

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.kind != "none" and (self.target > 0) == (self.target_width > 0):
            raise ValueError(
                f"target={self.target} and target_width={self.target_width}: exactly one of the "
                "two must be above 0"
            )
        return self


class Objective(Part):
    """What training minimizes; scaling.objectives says how."""

    kind: Literal["cross_entropy", "bottleneck", "consistency", "prototypes", "neighbours"] = (
        "cross_entropy"
    )
    beta: Annotated[
        float, Field(ge=0, le=100, description="bottleneck: weight of the divergence")
    ] = 0.0
    latent: Annotated[
        int, Field(ge=0, le=65_536, description="bottleneck: K, dimensions of its Gaussian")
    ] = 0
    offset: Annotated[
        float, Field(ge=-20, le=20, description="bottleneck: deviation = softplus(x - offset)")
    ] = 0.0
    weight: Annotated[
        float, Field(ge=0, le=1000, description="consistency: of the divergence, once ramped up")
    ] = 0.0
    ramp: Annotated[
        int, Field(ge=0, description="consistency: epochs in which the weight grows from 0")
    ] = 0
    embedding: Annotated[
        int, Field(ge=0, le=65_536, description="prototypes: dimensions of their space")
    ] = 0
    support: Annotated[
        int,
        Field(ge=1, le=10_000, description="prototypes: the most clips that each is the mean of"),
    ] = 5
    distance: Annotated[
        Literal["mean_squared", "squared", "cosine"],
        Field(description="prototypes: mean or sum over the dimensions, or 1 - cosine"),
    ] = "mean_squared"

    def idle(self) -> Iterator[tuple[str, str]]:
        """What belongs to another objective; a ramp of nothing."""
        owner = dict.fromkeys(("beta", "latent", "offset"), "bottleneck")
        owner |= dict.fromkeys(("weight", "ramp"), "consistency")
        owner |= dict.fromkeys(("embedding", "support", "distance"), "prototypes")
        for name, kind in owner.items():
            if kind != self.kind:
                yield name, f"it belongs to kind={kind}, not to {self.kind}"
        if not self.weight:
            yield "ramp", "weight=0 stays 0"

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if (self.kind == "bottleneck") != (self.latent > 0):
            raise ValueError(
                f"kind={self.kind} with latent={self.latent}: bottleneck needs 1 or more"
            )
        if (self.kind == "prototypes") != (self.embedding > 0):
            raise ValueError(
                f"kind={self.kind} with embedding={self.embedding}: prototypes need 1 or more"
            )
        return self


class Evaluation(Part):
    """When held-out clips are scored."""

    every: Annotated[int, Field(ge=1, description="epochs from one evaluation to the next")] = 1
    last: Annotated[int, Field(ge=1, description="each of this many last epochs is scored")] = 1
    training_clips: Annotated[
        bool, Field(description="score the training clips too, without augmentation")
    ] = False
    patch_hop: Annotated[
        int, Field(ge=0, description="frames from one patch of a clip to the next; 0: a patch's")
    ] = 0
    patch_votes: Annotated[
        Literal["probabilities", "logarithms", "votes"],
        Field(description="what is averaged over a clip's patches"),
    ] = "probabilities"
    disagreement: Annotated[
        Literal["none", "pitch", "reverb", "mask", "combination"],
        Field(description="measure the divergence between a clip and two copies changed like this"),
    ] = "none"


class Transfer(Part):
    """What a network takes over from one that was trained before; only its last layer is new.

    Its standardization is taken over too; public weights know none.
    """

    trial: Annotated[
        str,
        Field(
            pattern="^([0-9a-f]{12})?$", description="its id; its results lie in the same folder"
        ),
    ] = ""
    weights: Annotated[
        str,
        Field(description="vggish: file of public weights in the folder weights of a data root"),
    ] = ""
    rate: Annotated[
        float, Field(gt=0, le=1, description="of the learning rate, for what is taken over")
    ] = 1.0

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trial and self.weights:
            raise ValueError(f"trial={self.trial} and weights={self.weights}: name one of them")
        return self

    def idle(self) -> Iterator[tuple[str, str]]:
        """A rate of nothing."""
        if not (self.trial or self.weights):
            yield "rate", "nothing is taken over without trial or weights"
