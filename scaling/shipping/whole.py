"""Whole: a model from waveform to probabilities as one plain module, and as a program of operators.

Damping and masks are folded into the weights, patches cut and pooled as in evaluation, logits
divided by the temperature. Contents: Whole, `program`, `refusal`, `quiet`.
"""

# B clips, T samples, F mel bands, N frames, Y classes

import copy
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch
from torch import Tensor, nn

from scaling.networks.modules.kernels import Convolution
from scaling.shipping.model import Model
from scaling.shipping.waveform import exportable
from scaling.sound.frontends import Standardize
from scaling.text import one_line
from scaling.training.evaluation import pooled

WAVES, OUTPUTS = "waves", ("probabilities", "logits")  # names of what goes in and comes out
MOST = 4096  # clips at once, as torch wants to know
EXAMPLE = 3  # clips that are traced: neither one nor two, which might be taken for constants


class Whole(nn.Module):
    """Waves (B, samples) to probabilities and logits, both (B, Y), float32."""

    def __init__(self, model: Model) -> None:
        """Raises ValueError for a front end that cannot be exported."""
        super().__init__()
        trial, device = model.trial, torch.device("cpu")
        self.samples, self.temperature = model.samples, model.temperature
        self.frontend = exportable(copy.deepcopy(model.frontend).to(device), model.samples)
        standardize = model.classifier.standardize
        self.standardize = Standardize(standardize.mean_F.to(device), standardize.std_F.to(device))
        self.network = folded(copy.deepcopy(model.classifier.network).to(device))
        self.patch, self.votes = trial.sound.patch, trial.evaluation.patch_votes
        self.hop = trial.evaluation.patch_hop or self.patch
        self.requires_grad_(False).eval()

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        x_BFN = self.standardize(self.frontend(waves))
        if self.patch:
            last = x_BFN.shape[2] - self.patch
            starts = range(0, last + 1, self.hop)
            patches = [x_BFN[:, :, at : at + self.patch] for at in starts]
            patches_BPFN = torch.stack(patches, dim=1)
        else:
            patches_BPFN = x_BFN[:, None]
        count = patches_BPFN.shape[1]
        logits_BY = self.network(patches_BPFN.flatten(0, 1)[:, None]).logits_BY
        logits_BY = pooled(logits_BY.reshape(-1, count, logits_BY.shape[1]), self.votes)
        return (logits_BY / self.temperature).softmax(dim=1), logits_BY


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """The same network of plain weights, changed in place, in evaluation mode."""
    for layer in network.eval().modules():
        if isinstance(layer, Convolution) and layer.factor is not None:
            layer.weight.copy_(layer.kernel)
            layer.factor = None
    return network


def program(whole: Whole, trial: str, any_batch: bool = True) -> torch.export.ExportedProgram:
    """The operators of a model, for any number of clips at once, or for one.

    Raises ValueError, which names the layer, where a network cannot be exported.
    """
    batch = torch.export.Dim("batch", min=1, max=MOST)
    shapes = ({0: batch},) if any_batch else None
    waves = torch.zeros(EXAMPLE if any_batch else 1, whole.samples)
    entered: list[str] = []
    # stderr: where torch prints the whole program before it raises
    with quiet(), redirect_stderr(io.StringIO()), _entering(whole, entered):
        try:
            found = torch.export.export(whole, (waves,), dynamic_shapes=shapes)
        except Exception as error:
            # torch raises many kinds: whatever a network does that cannot be written down
            raise refusal(whole, trial, entered[-1] if entered else "", error) from error
    for module in found.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # paths of this machine
    found.example_inputs = None
    return found


def refusal(whole: Whole, trial: str, layer: str, error: BaseException) -> ValueError:
    """What to say where a layer, by its dotted name, cannot be exported."""
    kinds = {name: type(module).__name__ for name, module in whole.named_modules()}
    named = f"its layer {layer} ({kinds[layer]})" if kinds.get(layer) and layer else "it"
    reason = one_line(re.split(r"\n|\. ", str(error).strip() or type(error).__name__)[0])[:200]
    return ValueError(
        f"trial {trial} cannot be exported: {named} has an operation without a twin in this "
        f"target ({reason}): take another target, or a network without it"
    )


@contextmanager
def _entering(whole: nn.Module, entered: list[str]) -> Iterator[None]:
    """Keeps in `entered` the names of the layers whose forward pass is running, outermost first;
    after an error, of those that it left.
    """
    handles = []

    def leave(*_: object) -> None:
        entered.pop()

    for name, layer in whole.named_modules():

        def enter(*_: object, name: str = name) -> None:
            entered.append(name)

        handles += [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines of torch's exporters, which are for their developers."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
