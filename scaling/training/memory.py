"""Memory: whether a step of a trial fits into a GPU, and activations recomputed where it does not.

Before its first epoch a trial's network takes a dry step, which changes nothing. Where that does
not fit, its blocks keep only what they are given, and compute the rest again in the backward pass:
numbers stay the same to the bit, for a third more multiply-adds. A trial that does not fit even
so is refused in one line. Trials side by side take one, too (scaling.training.stack).
Contents: `fit`, `dry_step`, `drawing_apart` and `given_back`, `recompute`.
"""

# V views, B clips, F mel bands, N frames

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from scaling.machine import short
from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.stochastic import Stochastic
from scaling.training.session import Session


def fit(session: Session, step: Callable[[Session], None] | None = None) -> bool:
    """Make a trial's steps fit; whether they had to be made to. `step` is `dry_step`, or stands for
    it. Raises ValueError where they cannot.
    """
    take = step or dry_step
    if _fits(take, session):
        return False
    blocks = recompute(session.model.network)
    if blocks and _fits(take, session):
        return True
    clips = session.trial.training.batch * session.objective.views
    even = ", even with activations recomputed" if blocks else ""
    raise ValueError(
        f"a step of {clips} clips does not fit into the memory of {session.machine.name}{even}: "
        "take a smaller training.batch or a narrower network"
    )


def _fits(step: Callable[[Session], None], session: Session) -> bool:
    try:
        step(session)
    except Exception as error:
        if not short(error):
            raise
        fitted = False
    else:
        fitted = True
    if session.machine.device.type == "cuda":
        torch.cuda.empty_cache()
    return fitted


def dry_step(session: Session) -> None:
    """Forward and backward of a training step on silence, and what an optimizer remembers. Raises
    torch.OutOfMemoryError.
    """
    network, device = session.model.network, session.machine.device
    clips = session.trial.training.batch * session.objective.views
    weights = [each for each in network.parameters() if each.requires_grad]
    moments = [torch.empty_like(each) for each in weights for _ in range(2)]
    held = [(each, each.clone()) for each in network.buffers()]  # of your own network
    network.train()
    with drawing_apart(network), given_back(held):
        x_BFN = torch.zeros(clips, *session.trial.sound.shape, device=device)
        total = session.model.network_on(x_BFN).logits_BY.float().sum()
        torch.autograd.grad(total, weights, allow_unused=True)
    del moments


def recompute(network: nn.Module) -> int:
    """Let the blocks of a network recompute their activations; how many it has."""
    blocks = [
        each
        for each in network.children()
        if not isinstance(each, Prunable | nn.ModuleDict | nn.ModuleList)
        and any(isinstance(within, Prunable) for within in each.modules())
    ]
    for block in blocks:
        block.forward = _recomputed(block, block.forward)
    return len(blocks)


def _recomputed(block: nn.Module, real: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A block's forward pass that is run again in the backward pass."""

    def forward(x_BCFN: Tensor) -> Tensor:
        if not (block.training and torch.is_grad_enabled()):
            return real(x_BCFN)
        states = [
            (module, module.generator, module.generator.get_state())
            for module in block.modules()
            if isinstance(module, Stochastic) and module.generator is not None
        ]

        @contextmanager
        def again() -> Iterator[None]:
            """What was drawn is drawn again, and no running statistics are updated twice.

            Not by sharpness.repeated: without running statistics, batch normalization keeps other
            tensors for the backward pass than it first did, which `checkpoint` refuses.
            """
            with _as_it_was(block):
                for module, drawn, state in states:
                    module.generator = torch.Generator(drawn.device)
                    module.generator.set_state(state)
                yield

        found: Tensor = checkpoint(
            real,
            x_BCFN,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), again()),
        )
        return found

    return forward


@contextmanager
def drawing_apart(network: nn.Module) -> Iterator[None]:
    """While entered, a network draws from other streams than its own, and counts no batch."""
    with _as_it_was(network):
        for module in network.modules():
            if isinstance(module, Stochastic):
                module.generator = torch.Generator()
        yield


@contextmanager
def given_back(held: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Give tensors the values beside them, in the end."""
    try:
        yield
    finally:
        with torch.no_grad():
            for each, value in held:
                each.copy_(value)


@contextmanager
def _as_it_was(network: nn.Module) -> Iterator[None]:
    """Leave running statistics and generators of a network as they were."""
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm)]
    kept = [dict(each._buffers) for each in norms]
    drawing = [each for each in network.modules() if isinstance(each, Stochastic)]
    generators = [each.generator for each in drawing]
    for norm in norms:
        for name, value in norm._buffers.items():
            norm._buffers[name] = None if value is None else value.clone()
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            norm._buffers.update(buffers)
        for module, generator in zip(drawing, generators, strict=True):
            module.generator = generator
