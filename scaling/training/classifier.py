"""Classifier: standardization, network, and a front end that learns: all that a trial learns.

Its state is what `weights/<trial>.safetensors` holds; another trial may take it over, with or
without the last layer (transfer). Contents: Classifier, `untrained`, `of_trial`, `in_use`,
`take_over`, `taken`, `freeze`, `show_examples`.
"""

# B clips, S examples, F mel bands, N frames

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from scaling.machine import Machine
from scaling.networks.modules import residual_normalization
from scaling.networks.modules.output import Output
from scaling.objectives.modules import prototypes
from scaling.objectives.prototypes import Prototypes
from scaling.pruning import compaction
from scaling.pruning.channels import Channels
from scaling.seeds import stream, torch_stream
from scaling.settings import Trial, sizes
from scaling.sound import augment
from scaling.sound.frontends import Standardize
from scaling.training.inputs import Listener

FRONTEND = "frontend."  # how the names of a learning front end's tensors begin
USUAL = Prototypes.model_fields["support"].default  # as published: 5, or as many as there are


class Classifier(nn.Module):
    """Features (B, F, N) of clips, or of patches of them, to what the network says of them.

    A front end that learns is held here, to be trained and saved; the listener applies it.
    """

    def __init__(
        self,
        standardize: Standardize,
        network: nn.Module,
        machine: Machine,
        frontend: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.standardize = standardize
        self.network = network
        self.machine = machine
        if frontend is not None:
            self.frontend = frontend

    def forward(self, features_BFN: Tensor) -> Output:
        return self.network_on(self.standardize(features_BFN))

    def network_on(self, x_BFN: Tensor) -> Output:
        """The network's output for features that are standardized already."""
        with self.machine.autocast():
            output: Output = self.network(x_BFN[:, None])
        return output

    def answer(self, embedding_BE: Tensor) -> Output:
        """The same, for embeddings that an encoder (network.kind=mn, passt or vggish) has answered;
        the last map is the embedding, as one pixel.
        """
        answer: Callable[[Tensor], Tensor] = self.network.answer  # type: ignore[assignment]
        with self.machine.autocast():
            logits_BY = answer(embedding_BE)
        return Output(logits_BY, embedding_BE[:, :, None, None], embedding_BE=embedding_BE)


def network(trial: Trial, classes: int, generator: torch.Generator) -> nn.Module:
    """A trial's network with the head that its objective asks for, initialized from `generator`."""
    objective = trial.objective
    base = trial.network.build(objective.outputs(classes), generator, size=trial.sound.shape)
    residual_normalization.attach(base, trial.network.normalization)
    whole = objective.with_head(base, classes, generator, trial.network.head_scheme)
    for name, scale in sizes.scales(trial, classes).items():
        whole.get_parameter(f"{name}.weight").data.mul_(scale.first)
    return whole


def untrained(trial: Trial, classes: int, frontend: nn.Module, machine: Machine) -> Classifier:
    """A trial's classifier whose standardization waits for that of a state; it holds the front end
    where that learns.
    """
    built = network(trial, classes, torch_stream(trial.seed, "initialization"))
    mels = trial.sound.features.mels
    standardize = Standardize(torch.zeros(mels), torch.ones(mels))
    learns = trial.sound.features.trainable != "none"
    return Classifier(standardize, built, machine, frontend if learns else None)


def of_trial(
    trial: Trial,
    listener: Listener,
    machine: Machine,
    statistics: tuple[Tensor, Tensor] | None,
    source: Mapping[str, Tensor] | None,
) -> tuple[Classifier, set[str]]:
    """A trial's classifier as training begins, and which of its parameters are taken over. Without
    statistics its standardization waits for those of a state.
    """
    classes = len(listener.labels)
    model = untrained(trial, classes, listener.frontend, machine)
    if statistics is not None:
        model.standardize = Standardize(*statistics)
    if source is None:
        return model, set()
    new: set[str] = set()
    if trial.transfer.last_layer == "new":
        last = sizes.network_layers(trial, classes)[-1]
        new = {layer.name for layer in (last, *trial.objective.head_layers(classes))}
    take_over(model, source, new, trial.transfer.trial or trial.transfer.weights)
    return model, set(taken(model.state_dict(), new))


def in_use(model: Classifier, trial: Trial, classes: int) -> Classifier:
    """A trained classifier as it is used: compacted where its trial cut channels, else itself."""
    if not isinstance(trial.pruning, Channels):
        return model
    return compaction.compacted(model, model.network, sizes.network_layers(trial, classes))


def take_over(
    model: Classifier, source: Mapping[str, Tensor], new: Collection[str], whose: str
) -> None:
    """Copy what another classifier learned, all but layers that are new, into this one.

    `source` is that one's state, or part of it; `new` names this network's last layer and those of
    its head, or nothing; `whose` says where the weights come from. Raises ValueError where a tensor
    is missing or has another shape: the networks must be alike but for their classes.
    """
    own = model.state_dict()
    wanted = set(taken(own, new))
    learnt = {name for name in source if name.startswith(FRONTEND)}
    if not learnt:  # the source heard through the filters with which this one begins
        wanted = {name for name in wanted if not name.startswith(FRONTEND)}
    elif not learnt <= wanted:
        raise ValueError(
            f"transfer: the front end of {whose} was trained, and this one cannot take it "
            "over: set the same sound.features in both, trainable too"
        )
    for name in sorted(wanted):
        found = source.get(name)
        if found is None or found.shape != own[name].shape:
            other = "has none" if found is None else f"has {tuple(found.shape)}"
            raise ValueError(
                f"transfer: {name} is {tuple(own[name].shape)} here, {whose} {other}: name the "
                "same network, width and mel bands in both"
            )
        own[name].copy_(found)


def taken(names: Iterable[str], new: Collection[str]) -> list[str]:
    """Those of the names that are taken over: not those of new layers and their normalization."""
    own = {part for layer in new for part in (layer, f"{layer}_norm")}
    return [name for name in names if not own & set(name.split("."))]


def freeze(model: Classifier, names: Collection[str]) -> list[nn.Module]:
    """Keep parameters of these names as they are; returns the parts of the network that learn
    nothing any more, which answer as in evaluation.
    """
    for name, parameter in model.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
    held = [(module, [*module.parameters()]) for module in model.network.modules()]
    return [module for module, own in held if own and not any(p.requires_grad for p in own)]


@torch.no_grad()
def show_examples(model: Classifier, listener: Listener) -> None:
    """Show a network of prototypes their examples: one patch of a few training clips of each class.

    They are drawn once from the seed and stay for good, also where weights are restored. Source:
    Pons et al. 2019 (at most 5 of each class; which 5 is left open there). Raises ValueError for a
    class without any, or for more than 5 that no class has.
    """
    objective = listener.trial.objective
    if not isinstance(objective, Prototypes):
        return
    assert isinstance(model.network, prototypes.PrototypesHead)
    trial, train = listener.trial, listener.parts["train"]
    order = stream(trial.seed, "support").permutation(train)
    classes = listener.targets[order]
    if without := sorted(set(range(len(listener.labels))) - set(classes.tolist())):
        raise ValueError(
            f"objective.kind=prototypes: class {listener.labels[without[0]]} has no training clip "
            "to be the prototype of: train on one of each class"
        )
    support, most = objective.support, int(np.bincount(classes).max())
    if support > max(most, USUAL):
        raise ValueError(
            f"objective.support={support}: no class has more than {most} training clips: at most "
            f"that, or {USUAL}, which takes all of classes that have fewer"
        )
    chosen = np.concatenate([order[classes == y][:support] for y in range(len(listener.labels))])
    features_SFN = listener.features(chosen)
    if size := trial.sound.patch:
        last = features_SFN.shape[2] - size
        starts_S = augment.draw_patch(stream(trial.seed, "support patch"), len(chosen), last)
        features_SFN = augment.patch(features_SFN, starts_S, size)
    shown_S = torch.from_numpy(listener.targets[chosen]).to(listener.device)
    model.network.show(model.standardize(features_SFN)[:, None], shown_S)
