"""An ERF map of CP-ResNet (W = 32, 32 clips of 1 x 256 x 216, float32): ours beside the plain ways.

Ours is `scaling.receptive_field.gradients`: batches, gradients to the input alone, computed from
the maximum field alone, on a model laid out channels-last, as trials leave it. The peers run the
same network on whole clips in torch's usual layout and fill the parameters' gradients, which no one
reads: clip by clip, as most published ERF code does, and batch by batch, as CP-ResNet's public
ancestor does. All must find one map. What cropping alone is worth is told last.
"""

import argparse
from collections.abc import Callable

import torch
from common import report, rounds, timed
from torch import Tensor, nn

from scaling import machine
from scaling.networks.cost import count, field
from scaling.networks.cp_resnet import CPResNet
from scaling.receptive_field import gradients
from scaling.seeds import torch_stream

CLIPS, SHAPE, CLASSES, BATCH = 32, (256, 216), 10, 16
MIDDLE = (7, 6)  # of the penultimate map, 15 x 13
TARGET, LIMIT = 2.0, 1.3  # against the loop over clips


def plain(model: nn.Module, clips_BCFN: Tensor, batch: int) -> Callable[[], Tensor]:
    """A call that computes the map as an ordinary script would."""
    model.eval()

    def compute() -> Tensor:
        total_FN = torch.zeros(SHAPE, device=clips_BCFN.device)
        for part_BCFN in torch.split(clips_BCFN, batch):
            x_BCFN = part_BCFN.clone().requires_grad_()
            pixel_BC = model(x_BCFN).features_BCFN[:, :, MIDDLE[0], MIDDLE[1]]
            torch.autograd.backward(pixel_BC.sum())
            assert x_BCFN.grad is not None
            total_FN += x_BCFN.grad.abs().sum(dim=(0, 1))
        return total_FN.cpu() / len(clips_BCFN)

    return compute


def ours(model: nn.Module, clips_BCFN: Tensor, target: gradients.Target) -> Callable[[], Tensor]:
    """The same by `effective_field`."""

    def compute() -> Tensor:
        found = gradients.effective_field(model, torch.split(clips_BCFN, BATCH), target)
        return torch.from_numpy(found.values_FN).float()

    return compute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--width", type=int, default=32)
    chosen = parser.parse_args()
    here = machine.here(precision="float32")
    # as He initializes it: a network that starts as its shortcuts looks at next to nothing
    network = CPResNet(width=chosen.width, depth=1, pointwise=1, initialization="he")
    layers = network.layers(CLASSES)
    assert count(layers, SHAPE).parts[-1].map == (2 * MIDDLE[0] + 1, 2 * MIDDLE[1] + 1)
    usual, laid_out = (
        network.build(CLASSES, torch_stream(0, "initialization")).to(here.device) for _ in range(2)
    )
    laid_out.to(memory_format=torch.channels_last)
    clips_BCFN = torch.randn(CLIPS, 1, *SHAPE, generator=torch_stream(0, "benchmark"))
    clips_BCFN = clips_BCFN.to(here.device)
    whole = gradients.target_of(laid_out, "feature")
    contestants = {
        "ours": ours(laid_out, clips_BCFN, gradients.cropped(whole, field(layers), MIDDLE, SHAPE)),
        "clip by clip": plain(usual, clips_BCFN, 1),
        "batch by batch": plain(usual, clips_BCFN, BATCH),
        "ours, whole clips": ours(laid_out, clips_BCFN, whole),
    }
    expected = contestants["clip by clip"]()
    nothing = 1e-5 * float(expected.max())
    for compute in contestants.values():
        torch.testing.assert_close(compute(), expected, rtol=1e-2, atol=nothing)
    seconds = rounds(contestants, chosen.repeats)
    mine = seconds["ours"]
    report(
        f"An ERF map, W = {chosen.width}, {CLIPS} clips of 1 x 256 x 216, float32",
        [
            timed("against a plain loop over clips", mine, seconds["clip by clip"], TARGET, LIMIT),
            timed(f"against plain batches of {BATCH}", mine, seconds["batch by batch"]),
            timed("cropped, against whole clips", mine, seconds["ours, whole clips"]),
        ],
    )


if __name__ == "__main__":
    main()
