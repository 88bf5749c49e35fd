"""Trial: everything that decides what a trial's records say, and nothing else.

Conventions: a default means "off" (or the plain choice), so that a new field never renames an old
trial; recommended values live in recipes.py. Where a trial runs (device, precision, threads, paths)
is not part of it. Contents: the parts of a Trial, Trial itself with its id, and the doors through
which people's words come in: `changed` (dotted fields), `flat` (columns) and `explain` (an error as
one line).
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A frozen, checked piece of a Trial; unknown names and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


class Features(Part):
    """What the front end computes from a wave; scaling.sound.frontends says how."""

    kind: Literal["perceptual", "log_mel"]
    window: Annotated[int, Field(ge=16, le=65536, description="STFT window and FFT size, samples")]
    hop: Annotated[int, Field(ge=1, description="samples from frame to frame")]
    mels: Annotated[int, Field(ge=1, le=1024, description="mel bands, Slaney scale and norm")]
    low: Annotated[float, Field(ge=0, description="lower edge of the lowest band, Hz")] = 0.0
    high: Annotated[float, Field(ge=0, description="upper edge, Hz; 0: half the rate")] = 0.0
    range_db: Annotated[
        float, Field(ge=0, description="floor, dB below the clip's loudest value; 0: no floor")
    ] = 0.0


class Sound(Part):
    """Which recordings, and what of them reaches the network."""

    dataset: Annotated[str, Field(min_length=1, description="a name of `overhear data list`")]
    rate: Annotated[int, Field(ge=1000, le=192_000, description="samples per second, Hz")]
    seconds: Annotated[
        float, Field(gt=0, le=600, description="length of a clip: longer cut, shorter zero-padded")
    ]
    features: Features

    @property
    def samples(self) -> int:
        """Length of one clip in samples at `rate`."""
        return round(self.seconds * self.rate)

    @property
    def shape(self) -> tuple[int, int]:
        """Size of one clip's features: mel bands x frames (centred frames, first at sample 0)."""
        return self.features.mels, 1 + self.samples // self.features.hop

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
        if self.samples <= self.features.window // 2:
            raise ValueError(
                f"seconds={self.seconds:g} is {self.samples} samples, but a window of "
                f"{self.features.window} "
                f"needs more than {self.features.window // 2} (edges are reflected): longer clips "
                "or a shorter window"
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
        stated = self.model_dump(exclude_defaults=True)
        if self.protocol != "pairs" and (of_pairs := sorted(n for n in stated if "pairs_" in n)):
            raise ValueError(f"{of_pairs[0]}: only protocol=pairs holds pairs out")
        return self


class Network(Part):
    """A network as numbers; scaling.networks builds it and counts its cost."""

    kind: Literal["cp_resnet", "vib_cnn", "vgg9"]
    width: Annotated[int, Field(ge=1, le=4096, description="W: channels of the first stage")]
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
        Literal["fixup", "he"], Field(description="cp_resnet's; the others are always he")
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

    @model_validator(mode="after")
    def _of_this_kind(self) -> Self:
        owner = dict.fromkeys(("depth", "pointwise", "initialization"), "cp_resnet")
        owner |= dict.fromkeys(("flatten", "padding"), "vib_cnn")
        for name, value in self.model_dump(exclude_defaults=True).items():
            if owner.get(name, self.kind) != self.kind:
                raise ValueError(
                    f"{name}={value}: {self.kind} has no {name}, only {owner[name]} has; leave it "
                    f"at {type(self).model_fields[name].default}"
                )
        return self


class Training(Part):
    """How long, how fast."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch: Annotated[
        int, Field(ge=2, description="clips per step; a last, partial batch is dropped")
    ]
    rate: Annotated[float, Field(gt=0, le=10, description="peak learning rate")]
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
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

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.kind == "none":
            if self.model_dump(exclude_defaults=True):
                raise ValueError("kind=none prunes nothing: name kind=static or kind=magnitude too")
        elif (self.target > 0) == (self.target_width > 0):
            raise ValueError(
                f"target={self.target} and target_width={self.target_width}: exactly one of the "
                "two must be above 0"
            )
        return self


class Objective(Part):
    """What training minimizes; scaling.objectives says how."""

    kind: Literal["cross_entropy", "bottleneck", "consistency"] = "cross_entropy"
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

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        owner = dict.fromkeys(("beta", "latent", "offset"), "bottleneck")
        owner |= dict.fromkeys(("weight", "ramp"), "consistency")
        for name in self.model_dump(exclude_defaults=True):
            if name in owner and owner[name] != self.kind:
                raise ValueError(f"{name} belongs to kind={owner[name]}, not to {self.kind}")
        if (self.kind == "bottleneck") != (self.latent > 0):
            raise ValueError(
                f"kind={self.kind} with latent={self.latent}: bottleneck needs 1 or more"
            )
        return self


class Evaluation(Part):
    """When held-out clips are scored."""

    every: Annotated[int, Field(ge=1, description="epochs from one evaluation to the next")] = 1
    last: Annotated[int, Field(ge=1, description="each of this many last epochs is scored")] = 1
    training_clips: Annotated[
        bool, Field(description="score the training clips too, without augmentation")
    ] = False
    disagreement: Annotated[
        Literal["none", "pitch", "reverb", "mask", "combination"],
        Field(description="measure the divergence between a clip and two copies changed like this"),
    ] = "none"


class Trial(Part):
    """One network, trained once. Its `id` is its content: equal trials have equal ids,
    everywhere.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sound: Sound
    split: Split
    network: Network
    training: Training
    augment: Augment = Augment()
    objective: Objective = Objective()
    evaluation: Evaluation = Evaluation()
    microphones: Microphones = Microphones()
    pruning: Pruning = Pruning()

    @cached_property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields that are not
        "off".
        """
        stated = self.model_dump(mode="json", exclude_defaults=True)
        canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @model_validator(mode="after")
    def _views_differ(self) -> Self:
        augment, consistency = self.augment, self.objective.kind == "consistency"
        transformed = augment.transform != "none"
        if consistency and not transformed:
            raise ValueError(
                "objective.kind=consistency compares views of a clip: augment.transform=none "
                "leaves one, name pitch, reverb, mask or combination"
            )
        if not consistency and transformed != (augment.transform_share > 0):
            raise ValueError(
                f"augment.transform={augment.transform} with "
                f"augment.transform_share={augment.transform_share:g}: name both or neither"
            )
        return self

    @model_validator(mode="after")
    def _roll_fits(self) -> Self:
        if self.augment.roll > self.sound.seconds:
            raise ValueError(
                f"augment.roll={self.augment.roll:g} s must not exceed "
                f"sound.seconds={self.sound.seconds:g}"
            )
        return self

    @model_validator(mode="after")
    def _pruning_fits(self) -> Self:
        pruning, epochs = self.pruning, self.training.epochs
        if pruning.kind == "magnitude" and pruning.start + pruning.length >= epochs:
            raise ValueError(
                f"pruning.start={pruning.start} and pruning.length={pruning.length} must end "
                f"before training.epochs={epochs}: the last cut is trained on"
            )
        if pruning.target_width and pruning.target_width > self.network.width:
            raise ValueError(
                f"pruning.target_width={pruning.target_width} is above network.width="
                f"{self.network.width}: pruning cannot add weights"
            )
        return self


def unflat(row: Mapping[str, Any]) -> Trial:
    """The Trial of a manifest's row: the inverse of `flat`. Other columns are ignored, and what an
    older manifest lacks is off. Raises ValueError when the row is no trial of this version.
    """
    nested: dict[str, Any] = {}
    for dotted, kind in leaves().items():
        value = row.get(dotted)
        if value is None:
            continue
        *parents, leaf = dotted.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = _typed(kind, value)
    try:
        return Trial.model_validate(nested)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def flat(trial: Part) -> dict[str, Any]:
    """Every field by its dotted name (`network.width`), in declaration order; tuples become joined
    text.
    """
    columns: dict[str, Any] = {}
    for name in type(trial).model_fields:
        value = getattr(trial, name)
        if isinstance(value, Part):
            columns |= {f"{name}.{inner}": v for inner, v in flat(value).items()}
        else:
            columns[name] = ",".join(value) if isinstance(value, tuple) else value
    return columns


def leaves(part: type[Part] = Trial) -> dict[str, Any]:
    """The type of every settable field by its dotted name: what `--set` accepts."""
    found: dict[str, Any] = {}
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part):
            found |= {f"{name}.{inner}": t for inner, t in leaves(kind).items()}
        else:
            found[name] = kind
    return found


def changed(trial: Trial, changes: Mapping[str, Any]) -> Trial:
    """The same trial with some dotted fields set, checked again.

    Values may be what JSON would hold or text as a person types it (`"64"`, `"a,b"` for a list).
    Raises ValueError that names the field, the value, and the bound or the nearest name.
    """
    known = leaves()
    raw = trial.model_dump(exclude_defaults=True)
    for dotted, value in changes.items():
        if dotted not in known:
            raise ValueError(f"{dotted}: no such setting{nearest(dotted, known)}")
        *parents, leaf = dotted.split(".")
        inner = raw
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = _typed(known[dotted], value)
    try:
        return Trial.model_validate(raw)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def _typed(kind: Any, value: Any) -> Any:
    """Text for a list field split at commas, `null` for an optional one; all else is left to
    pydantic.
    """
    if not isinstance(value, str):
        return value
    if kind == tuple[str, ...]:
        return tuple(filter(None, value.split(",")))
    return None if type(None) in get_args(kind) and value in ("null", "none") else value


def nearest(word: str, words: Any) -> str:
    """` (did you mean x?)` with the closest known word, or the known words when none is close."""
    known = [str(w) for w in words]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:  # `width` for `network.width`
        close = [w for w in known if w.split(".")[-1] == word.split(".")[-1]][:1]
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(known)})" if known else ""


def explain(error: ValidationError) -> str:
    """The first problem of a pydantic error as one line: field, value, bound; and how many more
    there are.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        line = f"{name}: no such setting{nearest(name, leaves())}"
    elif first["type"] == "value_error":
        line = f"{name + ': ' if name else ''}{first['msg'].removeprefix('Value error, ')}"
    elif first["type"] == "missing":
        line = f"{name}: missing"
    else:
        line = f"{name}={first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return line + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
