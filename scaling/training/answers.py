"""Answers: a network's answers in evaluation, replayed on a GPU where steps are captured.

What is asked is copied to where a CUDA graph reads it, in batches of a few sizes: powers of two, of
which the last rows may be left over from another batch, as in evaluation mode no row changes
another. A graph is captured, believed and given up as that of a step: see scaling.training.capture.
"""

# B clips

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from scaling.machine import Machine
from scaling.training import capture


class ReplayedAnswers:
    """What one network answers. Called with features (B, ...), it returns `answer`'s logits, whose
    rows lie along `dim`.
    """

    def __init__(
        self,
        answer: Callable[[Tensor], Tensor],
        held: Callable[[], Sequence[Tensor]],
        machine: Machine,
        dim: int = 0,
    ) -> None:
        """`held` are the tensors that the answers follow from."""
        self.answer, self.held, self.machine, self.dim = answer, held, machine, dim
        self.asked: dict[tuple[int, ...], int] = {}  # how often, by the shape of a batch
        self.graphs: dict[tuple[int, ...], tuple[Tensor, Callable[[], None], list[Tensor]]] = {}
        self.key: object = None
        self.broken = not machine.captures

    @torch.no_grad()
    def __call__(self, x_B: Tensor) -> Tensor:
        if self.broken or x_B.requires_grad:
            return self.answer(x_B)
        if self.key != (key := capture.places(self.held())):
            self.key, self.graphs = key, {}
        size = 1 << (len(x_B) - 1).bit_length()
        shape = (size, *x_B.shape[1:])
        self.asked[shape] = self.asked.get(shape, 0) + 1
        if shape not in self.graphs:
            if self.asked[shape] == 1:  # libraries choose and allocate
                return self.answer(x_B)
            return self._captured(x_B, shape)
        asked_B, call, found = self.graphs[shape]
        asked_B[: len(x_B)].copy_(x_B)
        call()
        return found[0].narrow(self.dim, 0, len(x_B)).clone()

    def _captured(self, x_B: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The answer, uncaptured; a graph is kept where it gives the same."""
        asked_B, found = x_B.new_zeros(shape), list[Tensor]()
        asked_B[: len(x_B)].copy_(x_B)
        right_B = self.answer(x_B)

        def run() -> None:
            found[:] = [self.answer(asked_B)]

        try:
            self.answer(asked_B)  # of this size for the first time: libraries choose
            call = capture.recorded(run, self.machine)
            call()
            told_B = found[0].narrow(self.dim, 0, len(x_B))
            nothing_B = torch.zeros_like(right_B)
            wrong = capture.unlike([told_B], [right_B], [nothing_B], capture.ALIKE)
        except Exception as error:  # noqa: BLE001
            # as in capture
            self._give_up(capture.said(error))
            return right_B
        if wrong:
            self._give_up("a captured answer is another one")
        else:
            self.graphs[shape] = asked_B, call, found
        return right_B

    def _give_up(self, reason: str) -> None:
        self.broken, self.graphs = True, {}
        capture.warn(reason, "answers")
