"""Stack: networks of one shape as one, their parameters, moments and statistics side by side.

A parameter of S trials is a part of one tensor (S, P), a row for each trial; the trials' own
networks and optimizers hold views of their row, so that whoever prunes, scores or saves a trial
finds in its own network what the stack has learned, and the stack what was pruned. Each trial has
its own learning rate, decay, mask, norm of the gradient, loss and draws: the latter are made by the
modules of its own network and handed in, and vmap refuses all others. Contents: Stack.
"""

# S trials, P parameters of each, V views, B clips, F mel bands, N frames, Y classes

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from scaling.networks.modules.kernels import Convolution, Prunable
from scaling.networks.modules.output import Output, by_view
from scaling.objectives.modules.losses import Loss
from scaling.seeds import torch_stream
from scaling.training import capture, classifier, memory, optimizer, sharpness
from scaling.training.answers import ReplayedAnswers
from scaling.training.grouped import grouped
from scaling.training.handed import Handed
from scaling.training.rows import Tensors, joined_moments, layout, statistics
from scaling.training.session import Session
from scaling.training.steps import Step
from scaling.training.sums import Sums, Terms
from scaling.training.trainees import Several


class Stack:
    """The networks and optimizers of sessions of one shape. A session is of one stack at a time;
    its parameters, statistics and moments are views of a row.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        """The networks of the sessions become views of the stack."""
        self.sessions, first = [*sessions], sessions[0]
        self.machine = first.machine
        self.network = classifier.network(
            first.trial, len(first.listener.labels), torch_stream(0, "any")
        ).to(self.machine.device)
        self.handed = Handed(self.network)
        self.places: dict[tuple[int, ...], Tensor] = {}
        stated, device = [one.trial.training for one in sessions], self.machine.device
        clips = [each.clip or math.inf for each in stated]
        self.clip_S = torch.tensor(clips, device=device) if min(clips) < math.inf else None
        # of SAM: how far a trial looks, and whether it is adaptive
        self.rho_S = torch.tensor([each.sam for each in stated], device=device)
        self.adaptive_S = torch.tensor([each.sam_adaptive for each in stated], device=device)
        self.mask_SP: Tensor | None = None
        self._stack_parameters()
        self._stack_statistics()
        self._stack_moments()

    def _stack_parameters(self) -> None:
        rows = [
            torch.cat([each.detach().reshape(-1) for group in layout(one) for _, each in group])
            for one in self.sessions
        ]
        self.flat_SP = torch.stack(rows).requires_grad_()
        self.flat_SP.grad = torch.zeros_like(self.flat_SP)
        self.names = [(name, each) for group in layout(self.sessions[0]) for name, each in group]
        self.sizes = [each.numel() for _, each in self.names]
        self.columns: dict[str, slice] = {}
        at = 0
        for (name, _), size in zip(self.names, self.sizes, strict=True):
            self.columns[name] = slice(at, at + size)
            at += size
        for row_P, one in zip(self.flat_SP.detach(), self.sessions, strict=True):
            for name, each in one.model.network.named_parameters():
                each.data = row_P[self.columns[name]].view(each.shape)

    def _stack_statistics(self) -> None:
        held = [statistics(one) for one in self.sessions]
        self.statistics = {name: torch.stack([each[name] for each in held]) for name in held[0]}
        for index, one in enumerate(self.sessions):
            for name, stacked in self.statistics.items():
                owner, _, own = name.rpartition(".")
                one.model.network.get_submodule(owner)._buffers[own] = stacked[index]
        factors: Tensors = {}
        for name, layer in self.network.named_modules():
            if isinstance(layer, Convolution):
                own_S = [_factor(one.model.network.get_submodule(name)) for one in self.sessions]
                if any(each is not None for each in own_S):
                    one_K1 = torch.ones(layer.weight.shape[2], 1, device=self.machine.device)
                    whole = [one_K1 if each is None else each for each in own_S]
                    factors[f"{name}.factor"] = torch.stack(whole)
        self.held = self.statistics | factors

    def _stack_moments(self) -> None:
        """The row of a trial, cut into the groups of its own optimizer, is what the stack's
        optimizer moves.
        """
        groups = []
        states: dict[Tensor, dict[str, Any]] = {}
        for index, one in enumerate(self.sessions):
            at = 0
            for group, own in zip(one.optimizer.param_groups, layout(one), strict=True):
                part = slice(at, at + sum(each.numel() for _, each in own))
                at = part.stop
                row_P = nn.Parameter(self.flat_SP.detach()[index, part])
                assert self.flat_SP.grad is not None
                row_P.grad = self.flat_SP.grad[index, part]
                groups.append({**group, "params": [row_P]})
                if moments := joined_moments(one.optimizer, [each for _, each in own]):
                    states[row_P] = moments
        kind = type(self.sessions[0].optimizer)
        self.optimizer = kind(groups, fused=True)  # type: ignore[call-arg]
        self.optimizer.state.update(states)

    def refresh(self) -> None:
        """Take over what was pruned since, before an epoch."""
        mask_SP: Tensor | None = None
        for index, one in enumerate(self.sessions):
            for name, layer in one.model.network.named_modules():
                if isinstance(layer, Prunable) and layer.mask is not None:
                    if mask_SP is None:
                        mask_SP = torch.ones_like(self.flat_SP.detach())
                    mask_SP[index, self.columns[f"{name}.weight"]] = layer.mask.reshape(-1)
            for name, mask in (one.pruner.vectors if one.pruner else {}).items():
                assert mask_SP is not None
                mask_SP[index, self.columns[name]] = mask.to(mask_SP)
        if self.mask_SP is not None and mask_SP is not None:
            self.mask_SP.copy_(mask_SP)  # where it lies already: captured steps read it there
        else:
            self.mask_SP = mask_SP

    def kept(self) -> list[Tensor]:
        """What its steps read or change beside weights and moments."""
        found = [*self.held.values(), self.rho_S, self.adaptive_S]
        return found + [each for each in (self.mask_SP, self.clip_S) if each is not None]

    @cached_property
    def replay(self) -> capture.Replay | None:
        """How its epochs are replayed."""
        return capture.of(Several(self))

    def forget(self) -> None:
        """Let go of what was captured."""
        for name in ("replay", "answers"):
            vars(self).pop(name, None)

    def update(self, steps: Sequence[Step], sums: Sums) -> None:
        """One step of all trials; what it minimized and measured is added to the sums."""
        clips = sum(map(len, steps[0].views))
        draws = self.drawn((clips, 1, *steps[0].views[0].shape[1:]))
        self.take(steps, [each.to(self.machine.device) for each in draws], sums)

    def take(self, steps: Sequence[Step], draws: list[Tensor], sums: Sums) -> None:
        """The same, from what their networks' modules have drawn: see `drawn`."""
        x_BSFN = torch.stack([torch.cat(step.views) for step in steps], dim=1)
        targets_SBY = torch.stack([step.targets_BY for step in steps])
        self.network.train()
        views = len(steps[0].views)
        gradient_SP = self._gradient(x_BSFN, targets_SBY, draws, views, sums)
        if self.sessions[0].trial.training.sam:
            flat_SP = self.flat_SP.detach()
            before_SP = flat_SP.clone()
            climbed_SP = sharpness.rows_climbed(flat_SP, gradient_SP, self.rho_S, self.adaptive_S)
            flat_SP.copy_(climbed_SP)
            with sharpness.repeated(self.network, {}):
                gradient_SP = self._gradient(x_BSFN, targets_SBY, draws, views, {})
            flat_SP.copy_(before_SP)
        if self.clip_S is not None:  # as torch.nn.utils.clip_grad_norm_
            norm_S = gradient_SP.norm(dim=1)
            share_S = (self.clip_S / (norm_S + 1e-6)).clamp(max=1.0)
            gradient_SP.mul_(share_S[:, None])
        rates = iter(self.optimizer.param_groups)
        for one, step in zip(self.sessions, steps, strict=True):
            for own in one.optimizer.param_groups:
                next(rates)["lr"] = step.rate * own["factor"]
        self.optimizer.step()

    def dry_step(self) -> None:
        """Forward and backward of a step of all trials on silence, which changes nothing. Raises
        torch.OutOfMemoryError.
        """
        first, device = self.sessions[0], self.machine.device
        clips, sound = first.trial.training.batch * first.objective.views, first.trial.sound.shape
        self.network.train()
        with ExitStack() as undo:
            held = [(each, each.clone()) for each in self.held.values()]
            undo.enter_context(memory.given_back(held))
            for one in self.sessions:
                undo.enter_context(memory.drawing_apart(one.model.network))
            draws = [each.to(device) for each in self.drawn((clips, 1, *sound))]
            x_BSFN = torch.zeros(clips, len(self.sessions), *sound, device=device)
            outputs = self._outputs(self._parameters(self.flat_SP), x_BSFN, draws)
            torch.autograd.grad(outputs["logits_BY"].float().sum(), self.flat_SP)
        if device.type == "cuda":  # graphs have memory of their own
            torch.cuda.empty_cache()

    def _gradient(
        self, x_BSFN: Tensor, targets_SBY: Tensor, draws: list[Tensor], views: int, sums: Sums
    ) -> Tensor:
        """The gradients of all trials (S, P), zero where weights are cut; what they minimize and
        measure is added to the sums.
        """
        parameters = self._parameters(self.flat_SP)
        outputs = self._outputs(parameters, x_BSFN, draws)
        total = self._loss(outputs, targets_SBY, parameters, views, sums)
        gradient_SP = self.flat_SP.grad
        assert gradient_SP is not None
        gradient_SP.zero_()
        total.backward()  # type: ignore[no-untyped-call]
        if self.mask_SP is not None:
            gradient_SP.mul_(self.mask_SP)
        return gradient_SP

    @torch.no_grad()
    def answer(self, parts: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """The logits of trials, by their place, for features (B, F, N) that each asks of: (B, Y)
        float32, in evaluation mode.
        """
        most = max(map(len, parts.values()))
        rows = {  # as many of each; what fills a batch changes no other clip's answer
            index: functional.pad(
                self.sessions[index].model.standardize(part), (0, 0, 0, 0, 0, most - len(part))
            )
            for index, part in parts.items()
        }
        nothing = torch.zeros_like(next(iter(rows.values())))
        x_BSFN = torch.stack(
            [rows.get(index, nothing) for index in range(len(self.sessions))], dim=1
        )
        found_SBY = self.answers(x_BSFN)
        return {index: found_SBY[index, : len(part)] for index, part in parts.items()}

    @cached_property
    def answers(self) -> ReplayedAnswers:
        """How its trials are scored."""

        def answer(x_BSFN: Tensor) -> Tensor:
            self.network.eval()
            parameters = self._parameters(self.flat_SP.detach())
            return self._outputs(parameters, x_BSFN, [])["logits_BY"].float()

        return ReplayedAnswers(
            answer, lambda: [self.flat_SP, *self.held.values()], self.machine, dim=1
        )

    def _parameters(self, flat_SP: Tensor) -> Tensors:
        """Parameters by name, stacked, from their rows."""
        parts = torch.split(flat_SP, self.sizes, dim=1)
        return {
            name: part.view(len(flat_SP), *each.shape)
            for (name, each), part in zip(self.names, parts, strict=True)
        }

    def _outputs(self, parameters: Tensors, x_BSFN: Tensor, draws: list[Tensor]) -> Tensors:
        """The fields of every trial's Output, stacked."""

        def call(parameters: Tensors, held: Tensors, draws: list[Tensor], x_BFN: Tensor) -> Tensors:
            if draws:
                self.handed.hand(draws, x_BFN[:, None].shape)
            with self.machine.autocast():
                out = functional_call(self.network, (parameters, held), (x_BFN[:, None],))
            return {name: each for name, each in out._asdict().items() if each is not None}

        with grouped():
            found: Tensors = vmap(call, in_dims=(0, 0, 0, 1), randomness="error")(
                parameters, self.held, draws, x_BSFN
            )
        return found

    @torch.no_grad()
    def drawn(self, shape: Sequence[int]) -> list[Tensor]:
        """What the modules of each trial's network draw in a step for inputs (V x B, C, F, N),
        stacked, in the order of their calls, where they draw: on the host.
        """
        if not self.handed.modules:
            return []
        networks = [one.model.network for one in self.sessions]
        self.network.train()
        self.handed.noted(shape, networks[0], self.machine)
        each_S = [self.handed.drawn(shape, network) for network in networks]
        return [torch.stack(own) for own in zip(*each_S, strict=True)]

    def _loss(
        self,
        outputs: Tensors,
        targets_SBY: Tensor,
        parameters: Tensors,
        views: int,
        sums: Sums,
    ) -> Tensor:
        """The sum of what all trials minimize; trials of one objective are computed at once."""
        kernels = [
            parameters[f"{name}.weight"]
            for name, layer in self.network.named_modules()
            if isinstance(layer, Prunable)
        ]
        total: list[Tensor] = []
        for which in self._alike():
            one = self.sessions[which[0]]
            penalty = one.trial.training.penalty

            def loss(
                fields: Tensors,
                targets_BY: Tensor,
                kernels: list[Tensor],
                one: Session = one,
                penalty: float = penalty,
            ) -> tuple[Tensors, Tensors]:
                whole = Output(**{name: fields.get(name) for name in Output._fields})  # type: ignore[arg-type]
                found = one.objective.loss(by_view(whole, views), targets_BY, one.done)
                if penalty > 0:
                    found.parts["penalty"] = penalty * optimizer.half_squares(kernels)
                return found.parts, found.measured

            of = slice(None) if len(which) == len(self.sessions) else self._places(which)
            parts, measured = vmap(loss, randomness="error")(
                {name: each[of] for name, each in outputs.items()},
                targets_SBY[of],
                [each[of] for each in kernels] if penalty > 0 else [],
            )
            total += [each.sum() for each in parts.values()]
            sums.setdefault(which, Terms()).add(Loss(parts, measured))
        return torch.stack(total).sum()

    def _places(self, which: tuple[int, ...]) -> Tensor:
        """These places as an index, made once: nothing is copied from the host in a step."""
        if which not in self.places:
            self.places[which] = torch.tensor(which, device=self.machine.device)
        return self.places[which]

    def _alike(self) -> list[tuple[int, ...]]:
        """The trials that minimize the same in this epoch, together."""
        found: dict[Any, list[int]] = {}
        for index, one in enumerate(self.sessions):
            minimized = one.objective.model_dump_json(), one.trial.training.penalty, one.done
            found.setdefault(minimized, []).append(index)
        return [tuple(each) for each in found.values()]


def _factor(layer: nn.Module) -> Tensor | None:
    assert isinstance(layer, Convolution)
    return layer.factor
