"""Half the multiply-adds of CP-ResNet, W = 32, on one thread: compacted, beside dense and masked.

The input is 1 x 256 x 431, batches of 1 and 64 (--batch). Ours cuts every group to one share and
compacts; the peer is torch-pruning, which cuts the same network by the same criterion, |scale|, to
a ratio at which it has at most as many multiply-adds. Answers of masked and compacted networks are
compared, too. Scales are drawn at random: speed does not depend on what was learnt.
"""

import argparse
import copy
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch_pruning
from common import Result, report, rounds, timed
from torch import Tensor, nn

from scaling.networks.cost import Layer, count
from scaling.networks.cp_resnet import CPResNet
from scaling.networks.groups import groups, narrowed
from scaling.pruning import compaction
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.pruning.channels import Channels, fitted
from scaling.seeds import torch_stream

SHAPE, CLASSES, KEEP = (256, 431), 10, 0.5
FASTER = 1.4  # half the multiply-adds, aimed at
SLOWEST, EVEN = 1.1, 0.9  # limits, against dense and masked, and against the peer


def macs(network: nn.Module, layers: list[Layer]) -> int:
    """Multiply-adds of a network that has lost channels, counted as ours are."""
    rows = {name: len(each) for name, each in network.named_parameters()}
    left = {each.name: rows[f"{each.name}.weight"] for each in groups(layers)}
    return count(narrowed(layers, left), SHAPE).macs


def ours(network: nn.Module, layers: list[Layer], round_to: int) -> tuple[nn.Module, nn.Module]:
    """A copy with masks, and that one compacted."""

    def price(channels: Mapping[str, int]) -> int:
        return count(narrowed(layers, channels), SHAPE).macs

    settings = Channels(keep=KEEP, start=1, round_to=round_to)
    left = fitted(groups(layers), price, settings.most(price({})), settings)
    assert left is not None
    masked = copy.deepcopy(network)
    rounds = [(each, count(narrowed(layers, each), SHAPE)) for each in ({}, left)]
    optimizer = torch.optim.SGD(masked.parameters())
    ChannelPruner(settings, layers, rounds, masked, optimizer).before(settings.start)
    return masked, compaction.compacted(masked, masked, layers)


def peer(network: nn.Module, layers: list[Layer], most: int) -> nn.Module:
    """The largest that torch-pruning makes at ratios of 0.01, 0.02, ... within so many."""
    for hundredths in range(1, 100):
        pruned = copy.deepcopy(network)
        torch_pruning.pruner.BNScalePruner(
            pruned,
            torch.zeros(1, 1, *SHAPE),
            importance=torch_pruning.importance.BNScaleImportance(),
            pruning_ratio=hundredths / 100,
            ignored_layers=[pruned.get_submodule(layers[-1].name)],
            output_transform=lambda output: output.logits_BY,
        ).step()
        if macs(pruned, layers) <= most:
            return pruned
    raise ValueError(f"torch-pruning does not come to {most:,} multiply-adds")


@torch.inference_mode()
def answer(network: nn.Module, x_BCFN: Tensor) -> Tensor:
    logits_BY: Tensor = network(x_BCFN).logits_BY
    return logits_BY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--round-to", type=int, default=1, help="channels, see pruning.round_to")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings = CPResNet(width=chosen.width, depth=1, pointwise=1, initialization="he")
    layers = settings.layers(CLASSES)
    dense = settings.build(CLASSES, torch_stream(0, "initialization"))
    draws = torch_stream(0, "benchmark")
    for module in dense.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.1, 1.0, generator=draws)
            nn.init.normal_(module.bias, 0.0, 0.1, generator=draws)
    dense.eval()
    masked, compact = ours(dense, layers, chosen.round_to)
    networks = {"dense": dense, "masked": masked, "compacted": compact}
    networks["torch-pruning"] = peer(dense, layers, macs(compact, layers))
    for name, network in networks.items():
        network.to(memory_format=torch.channels_last)
        size = sum(each.numel() for each in network.parameters())
        print(f"{name}: {size:,} parameters, {macs(network, layers):,} multiply-adds")
    results: list[Result] = []
    for batch in chosen.batch:
        x_BCFN = torch.randn(batch, 1, *SHAPE, generator=draws)
        x_BCFN = x_BCFN.to(memory_format=torch.channels_last)
        apart = float((answer(masked, x_BCFN) - answer(compact, x_BCFN)).abs().max())
        print(f"batch {batch}: masked and compacted logits differ by at most {apart:.1e}")
        calls: dict[str, Callable[[], object]] = {
            name: partial(answer, network, x_BCFN) for name, network in networks.items()
        }
        seconds = rounds(calls, chosen.repeats)
        own = seconds["compacted"]
        results += [
            timed(f"batch {batch}, against dense", own, seconds["dense"], FASTER, SLOWEST),
            timed(f"batch {batch}, against masked", own, seconds["masked"], FASTER, SLOWEST),
            timed(
                f"batch {batch}, against torch-pruning", own, seconds["torch-pruning"], 1.0, EVEN
            ),
        ]
    report(f"Inference of CP-ResNet, W = {chosen.width}, {KEEP:.0%} of its multiply-adds", results)


if __name__ == "__main__":
    main()
