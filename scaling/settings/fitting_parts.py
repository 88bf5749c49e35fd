"""Fitting parts: the parts of a trial, and what must hold between two or more of them.

A part checks itself; here stands what takes another to judge, and what one leaves without effect in
another. Contents: FittingParts.
"""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from scaling.networks import NETWORKS, Network
from scaling.networks.mup import ADAM
from scaling.networks.own import OwnNetwork
from scaling.objectives import OBJECTIVES, Objective
from scaling.objectives.consistency import Consistency
from scaling.objectives.cross_entropy import CrossEntropy
from scaling.objectives.own import OwnObjective
from scaling.objectives.prototypes import Prototypes
from scaling.own.names import is_own
from scaling.part import OneOf, Part
from scaling.pruning import PRUNINGS, Pruning
from scaling.pruning.channels import Channels
from scaling.pruning.magnitude import Magnitude
from scaling.pruning.none import Unpruned
from scaling.pruning.pruning import Length
from scaling.settings.augment import Augment
from scaling.settings.microphones import RECORDED_AS, Microphones
from scaling.settings.sound import Sound
from scaling.settings.split import Split
from scaling.settings.training import Evaluation, Training
from scaling.settings.transfer import Transfer
from scaling.settings.transforms import TRANSFORMS, named
from scaling.spelling import nearest

LEARNT = ("rate", "frozen", "last_layer", "device")  # of transfer: of what learns


class FittingParts(Part):
    """All parts of a trial, which fit together. Raises ValueError, with the remedy, where they do
    not.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63, description="seed of every random draw")]
    sound: Sound
    split: Split
    network: Annotated[Network, OneOf(NETWORKS, OwnNetwork)]
    training: Training
    augment: Augment = Augment()
    objective: Annotated[Objective, OneOf(OBJECTIVES, OwnObjective)] = CrossEntropy()
    evaluation: Evaluation = Evaluation()
    microphones: Microphones = Microphones()
    pruning: Annotated[Pruning, OneOf(PRUNINGS)] = Unpruned()
    transfer: Transfer = Transfer()

    @property
    def epochs(self) -> int:
        """How many epochs it has: one where nothing is trained."""
        return self.training.epochs if self.objective.trains else 1

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the parts of a person's own, as `module:Class`."""
        named = (
            self.network.kind,
            self.objective.kind,
            self.augment.transform,
            self.sound.features.kind,
            self.sound.dataset,
        )
        return tuple(name for name in named if is_own(name))

    @property
    def sources(self) -> tuple[str, ...]:
        """The ids of the trials whose weights it takes over or learns from."""
        return (*filter(None, [self.transfer.trial]), *self.objective.sources)

    @property
    def transforms(self) -> tuple[str, ...]:
        """The names of the transforms that clips go through, in training or to be agreed on."""
        return named(self.augment.transform, self.evaluation.disagreement)

    def idle(self) -> Iterator[tuple[str, str]]:
        """What the objective leaves no room for."""
        if self.objective.views > 1:
            several = f"objective.kind={self.objective.kind} transforms all views but the first"
            yield "augment.transform_share", several
        if self.network.kind == "mfcc":
            for name in ("sound.features.trainable", "network.normalization"):
                yield name, "network.kind=mfcc hears no features"
        if self.transfer.frozen:
            for name in ("dropout", "patchout_bands", "patchout_frames"):
                yield f"network.{name}", "transfer.frozen=true drops nothing"
            yield "training.adversarial", "transfer.frozen=true leaves no gradient to reverse"
        if not self.objective.trains:
            # `training` stays as it is: it has fields that every trial must state, and none counts
            names = [f"augment.{name}" for name in Augment.model_fields]
            names += ["pruning", "evaluation.disagreement", "network.dropout"]
            names += ["training.adversarial", *(f"transfer.{name}" for name in LEARNT)]
            why = f"objective.kind={self.objective.kind} trains nothing"
            yield from ((name, why) for name in names)

    @model_validator(mode="after")
    def _one_kind_of_unseen(self) -> Self:
        if self.microphones.test and self.split.train_devices:
            raise ValueError(
                "split.train_devices and microphones.test both make unseen devices: use one of them"
            )
        return self

    @model_validator(mode="after")
    def _views_differ(self) -> Self:
        augment, consistency = self.augment, isinstance(self.objective, Consistency)
        transformed = augment.transform != "none"
        if consistency and not transformed:
            raise ValueError(
                "objective.kind=consistency compares views of a clip: augment.transform=none "
                f"leaves one, name {', '.join(TRANSFORMS)} or combination"
            )
        if not consistency and transformed != (augment.transform_share > 0):
            raise ValueError(
                f"augment.transform={augment.transform} with "
                f"augment.transform_share={augment.transform_share:g}: set both or neither"
            )
        return self

    @model_validator(mode="after")
    def _disagreement_is_known(self) -> Self:
        asked = self.evaluation.disagreement
        if is_own(asked) and asked != self.augment.transform:
            raise ValueError(
                f"evaluation.disagreement={asked}: of your own, only what augment.transform names "
                f"({self.augment.transform})"
            )
        return self

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        hop, patch = self.evaluation.patch_hop, self.sound.patch
        if not patch and (hop or self.evaluation.patch_votes != "probabilities"):
            raise ValueError("evaluation.patch_hop and patch_votes need sound.patch to be above 0")
        if hop > patch:
            raise ValueError(
                f"evaluation.patch_hop={hop} leaves frames out between patches of "
                f"sound.patch={patch}: at most that"
            )
        return self

    @model_validator(mode="after")
    def _transfers(self) -> Self:
        if self.transfer.weights:
            self._hears_as_published()
        if self.transfer.frozen and not isinstance(self.pruning, Unpruned):
            raise ValueError(
                f"transfer.frozen=true: pruning.kind={self.pruning.kind} cuts what would have to "
                "learn again: set pruning.kind=none, or transfer.rate instead of frozen"
            )
        if self.network.kind == "timbre" and (self.transfer.trial or self.transfer.weights):
            raise ValueError(
                "transfer: network.kind=timbre is one layer, which is new in every trial: take "
                "another network over"
            )
        if isinstance(self.objective, Prototypes) and self.network.begins_at_zero:
            raise ValueError(
                "objective.kind=prototypes: the last layer of network.initialization=fixup begins "
                "at zero, where all prototypes are one: network.initialization=he"
            )
        plain = self.network.kind == "mfcc"
        if plain and self.objective.trains:
            raise ValueError("network.kind=mfcc trains nothing: set objective.kind=neighbours")
        if not self.objective.trains and plain == bool(
            self.transfer.trial or self.transfer.weights
        ):
            raise ValueError(
                "objective.kind=neighbours compares MFCC (network.kind=mfcc) or what a trained "
                "network makes of clips (transfer.trial or transfer.weights): name one of them"
            )
        return self

    def _hears_as_published(self) -> None:
        """Raise ValueError unless public weights are for this network and hear what it hears."""
        network, features = self.network, self.sound.features
        stated = f"transfer.weights={self.transfer.weights}"
        if not network.public:
            able = ", ".join(kind for kind, each in NETWORKS.items() if each.public)
            raise ValueError(
                f"{stated}: there are public weights of network.kind={able}, none of {network.kind}"
            )
        if network.hears and features.kind != network.hears:
            raise ValueError(
                f"{stated}: they hear sound.features.kind={network.hears}, not {features.kind}: "
                "set that, as the recipes of this network do"
            )

    @model_validator(mode="after")
    def _input_fits(self) -> Self:
        self.network.check_input(self.sound.shape)
        return self

    @model_validator(mode="after")
    def _device_is_heard(self) -> Self:
        device, through = self.transfer.device, self.microphones.train
        known = [*self.split.train_devices, *through, *([RECORDED_AS] if through else [])]
        if device and known and device not in known:
            raise ValueError(
                f"transfer.device={device} is not among the training "
                f"devices{nearest(device, known)}"
            )
        return self

    @model_validator(mode="after")
    def _front_end_learns(self) -> Self:
        learnt = self.sound.features.trainable
        if learnt != "none" and self.training.sam:
            raise ValueError(
                f"training.sam={self.training.sam:g}: features are computed once a step, "
                f"sound.features.trainable={learnt} would need them twice: none, or sam=0"
            )
        if learnt != "none" and self.objective.sources:
            raise ValueError(
                f"sound.features.trainable={learnt}: objective.kind={self.objective.kind} has "
                "teachers hear the same features, which must not change: none"
            )
        if self.sound.features.trainable != "none" and self.objective.kind == "prototypes":
            raise ValueError(
                f"sound.features.trainable={self.sound.features.trainable}: objective.kind="
                "prototypes keeps the features of its examples, which must not change: none"
            )
        return self

    @model_validator(mode="after")
    def _parametrized(self) -> Self:
        network = self.network
        if network.parametrization == "standard":
            return self
        stated = f"network.parametrization={network.parametrization}"
        if self.training.optimizer not in ADAM:
            raise ValueError(
                f"{stated} applies to Adam, not to training.optimizer="
                f"{self.training.optimizer}: use {' or '.join(ADAM)}"
            )
        if isinstance(network, OwnNetwork) or not network.grows:
            raise ValueError(f"{stated}: network.kind={network.kind} has no width to scale")
        try:
            type(network).model_validate(network.model_dump() | {"width": network.base_width})
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"network.base_width={network.base_width}: {reason}") from None
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
    def _bands_vary(self) -> Self:
        features, augment = self.sound.features, self.augment
        if augment.band_mask > features.mels:
            raise ValueError(
                f"augment.band_mask={augment.band_mask} must be at most sound.features.mels="
                f"{features.mels}"
            )
        if not (augment.low_jitter or augment.high_jitter):
            return self
        stated = f"augment.low_jitter={augment.low_jitter:g}, high_jitter={augment.high_jitter:g}"
        if features.constant_q or is_own(features.kind) or features.trainable == "mel":
            which = "trainable=mel" if features.trainable == "mel" else f"kind={features.kind}"
            raise ValueError(
                f"{stated}: sound.features.{which} has no bands to move: leave both at 0"
            )
        low = features.low + augment.low_jitter
        high = (features.high or self.sound.rate / 2) - augment.high_jitter
        if low >= high:
            raise ValueError(
                f"{stated}: bands would lie between {low:g} and {high:g} Hz: use smaller values"
            )
        return self

    @model_validator(mode="after")
    def _pruning_fits(self) -> Self:
        pruning, epochs = self.pruning, self.training.epochs
        if isinstance(pruning, Magnitude) and pruning.start + pruning.length >= epochs:
            raise ValueError(
                f"pruning.start={pruning.start} and pruning.length={pruning.length} must end "
                f"before training.epochs={epochs}: the last cut is trained on"
            )
        if isinstance(pruning, Channels) and pruning.last_cut >= epochs:
            rounds = f", {pruning.rounds} rounds {pruning.every} apart" * (pruning.rounds > 1)
            raise ValueError(
                f"pruning.start={pruning.start}{rounds}, cuts last before epoch "
                f"{pruning.last_cut + 1} of training.epochs={epochs}: the last cut is trained on"
            )
        if isinstance(pruning, Magnitude | Channels) and self.training.patience:
            goal = "target" if isinstance(pruning, Magnitude) else "budget"
            raise ValueError(
                f"training.patience={self.training.patience} may end a trial before "
                f"pruning.kind={pruning.kind} has cut to its {goal}: name one of them"
            )
        training = self.training
        length = Length(training.epochs, training.warmup, training.patience)
        pruning.check(self.network, length)
        return self
