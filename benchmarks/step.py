"""One training step of CP-ResNet (W = 32, batch 10, 1 x 256 x 431): ours beside the plain way.

Ours is what `scaling.training.loop` does: channels-last, bfloat16 autocast where the
processor has it, fused Adam. The peer is the same network in float32, contiguous layout, Adam one
tensor at a time. Damped and pruned networks are held against the same network without damping and
masks.
"""

import argparse
from collections.abc import Callable

import torch
from common import report, rounds, timed
from torch.nn import functional

from scaling import machine
from scaling.networks import Network
from scaling.networks.cp_resnet import CPResNet
from scaling.networks.modules.kernels import Convolution
from scaling.seeds import torch_stream

BATCH, SHAPE, CLASSES = 10, (256, 431), 10
FREE = 1 / 1.03  # masks may cost 3 % of a step
TARGET, LIMIT = 3.5, 2.0  # with native bfloat16; without it ours has only layout and Adam


def step(
    network: Network,
    here: machine.Machine,
    plain: bool,
    kept: float = 1.0,
    batch: int = BATCH,
    shape: tuple[int, int] = SHAPE,
) -> Callable[[], None]:
    """A call that makes one update, forward to optimizer; `kept` of the weights are not masked."""
    model = network.build(CLASSES, torch_stream(0, "initialization")).to(here.device)
    if plain:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, foreach=False)
    else:
        model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    draws = torch_stream(0, "benchmark")
    if kept < 1:
        for module in model.modules():
            if isinstance(module, Convolution):
                module.cut(torch.rand(module.weight.shape, generator=draws) < kept)
    x_BCFN = torch.randn(batch, 1, *shape, generator=draws).to(here.device)
    labels_B = torch.randint(CLASSES, (batch,), generator=draws).to(here.device)

    def update() -> None:
        with here.autocast():
            output = model(x_BCFN)
        loss = functional.cross_entropy(output.logits_BY.float(), labels_B)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        here.wait()

    return update


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--width", type=int, default=32)
    chosen = parser.parse_args()
    ours, plain = machine.here(), machine.here(precision="float32")
    base = CPResNet(width=chosen.width, depth=1, pointwise=1)
    damped = base.model_copy(update={"damping": 0.99})
    seconds = rounds(
        {
            "ours": step(base, ours, plain=False),
            "plain": step(base, plain, plain=True),
            "ours, damped": step(damped, ours, plain=False),
            "ours, masked": step(base, ours, plain=False, kept=0.25),
            "ours, both": step(damped, ours, plain=False, kept=0.25),
        },
        chosen.repeats,
    )
    native = ours.precision == torch.bfloat16
    report(
        f"One training step, W = {chosen.width}, batch {BATCH}, 1 x 256 x 431, "
        f"{ours.precision_name}",
        [
            timed(
                "against float32, contiguous, per-tensor Adam",
                seconds["ours"],
                seconds["plain"],
                TARGET if native else None,
                LIMIT if native else None,
            ),
            timed("damped, against undamped", seconds["ours, damped"], seconds["ours"]),
            timed("masked, against dense", seconds["ours, masked"], seconds["ours"], FREE),
            timed(
                "masked and damped, against damped",
                seconds["ours, both"],
                seconds["ours, damped"],
                FREE,
            ),
        ],
    )


if __name__ == "__main__":
    main()
