"""int8: an exported network whose convolutions and dense layers compute in eight bits.

Static quantization by onnxruntime: QDQ, per channel, symmetric int8 weights and uint8 activations,
whose ranges are those on training clips. Damping, masks and normalization are folded into the
weights first; front end and standardization stay in float32. Fine-tuning goes as far as validation
clips say. The twin is judged on all held-out clips, through each of the trial's microphones, and
refused where it loses too much on any device.
Contents: CALIBRATION, Validated, Twin, `quantized`, `check_validated`, `candidates`, `best`,
`judged`, `refused`, `named`, `compared`, `keep`.
"""

# B clips, T samples, Y classes

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scaling.results.records import Results
from scaling.seeds import stream
from scaling.shipping import OPSET, export, latency
from scaling.shipping.agreement import held_out, through
from scaling.shipping.export import Runner, Waves
from scaling.shipping.finetune import finetuned
from scaling.shipping.model import Model
from scaling.shipping.slim import slimmed
from scaling.shipping.stopwatch import Job
from scaling.shipping.whole import WAVES, quiet
from scaling.training.inputs import EvaluationSet, Listener, seen_through

CALIBRATION = 128  # training clips, or all of fewer
BATCH = 7
LAYERS = ["Conv", "Gemm", "MatMul"]  # operators of convolutions and dense layers
QUANTIZED = [*LAYERS, "Relu"]  # with Relu, a layer's 256 levels all lie above zero


class Validated(NamedTuple):
    """What a twin answers right of validation clips."""

    epochs: int  # of fine-tuning
    worst: float  # share on the worst device
    mean: float  # share of all clips


class Twin(NamedTuple):
    """An int8 file beside the float32 one that it is made from."""

    float32: bytes
    int8: bytes
    calibration_clips: int
    finetuned_epochs: int = 0
    tried: tuple[Validated, ...] = ()  # the last one by its own epochs, else all of its candidates
    devices: tuple[dict[str, Any], ...] = ()  # split, device, clips, float32 and int8 (accuracies)

    @property
    def worst(self) -> dict[str, Any]:
        """Of the device that loses most."""
        return max(self.devices, key=lambda row: row["float32"] - row["int8"])

    @property
    def hardest(self) -> dict[str, Any] | None:
        """Of the device that the float32 file does worst on, an unseen one where there are any;
        None where no device is named.
        """
        named = [row for row in self.devices if row["device"] != "all"]
        unseen = [row for row in named if row["split"] == "unseen"]
        return min(unseen or named, key=lambda row: row["float32"], default=None)

    @property
    def lost(self) -> float:
        """Points of accuracy that this device loses; negative where each gains."""
        return 100 * float(self.worst["float32"] - self.worst["int8"])


def quantized(content: bytes, listener: Listener, clips: int = CALIBRATION) -> Twin:
    """The int8 twin of an exported ONNX file, calibrated on so many of the trial's training clips,
    drawn from its own stream; not yet judged.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    train = listener.parts["train"]
    drawn = stream(listener.trial.seed, "calibration").permutation(train)[:clips]
    with tempfile.TemporaryDirectory() as folder, quiet():
        plain, folded, made = (str(Path(folder, f"{name}.onnx")) for name in ("a", "b", "c"))
        Path(plain).write_bytes(content)
        quant_pre_process(plain, folded, skip_symbolic_shape=True)  # folds normalization, too
        quantize_static(
            folded,
            made,
            _Clips(listener, drawn),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            nodes_to_exclude=export.front_end_nodes(Path(folded).read_bytes()),
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
        )
        return Twin(content, slimmed(Path(made).read_bytes()), len(drawn))


class _Clips:
    """Clips one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, listener: Listener, rows: np.ndarray) -> None:
        self.left = (listener.heard(rows[at : at + 1]).cpu().numpy() for at in range(len(rows)))

    def get_next(self) -> dict[str, Waves] | None:
        """The next clip; None after the last."""
        wave = next(self.left, None)
        return None if wave is None else {WAVES: wave}


def check_validated(listener: Listener, epochs: int) -> None:
    """Raises ValueError where a twin is to be fine-tuned for a trial without validation clips."""
    if epochs and not len(listener.parts.get("validation", ())):
        raise ValueError(
            f"--finetune {epochs}: trial {listener.trial.id} has no validation clips, and nothing "
            "else may decide how long to train: leave it out, or train with split.validation_fold"
        )


def candidates(
    content: bytes,
    model: Model,
    listener: Listener,
    epochs: int,
    rate: float,
    opset: int = OPSET,
) -> Iterator[Twin]:
    """The twin of a model's exported file as it is, then after 1, 2, 4, ... `epochs` of
    fine-tuning at this rate, each with what it answers right of validation clips, which are heard
    as recorded and through each microphone of training. Raises ValueError as `check_validated`.
    """
    check_validated(listener, epochs)
    clips = listener.parts["validation"]
    validation = EvaluationSet("validation", clips, seen_through(listener.trial))

    def validated(twin: Twin, epoch: int) -> Twin:
        rows = _scores({"int8": export.runner(twin.int8, "onnx")}, listener, [validation])
        (mean,) = (row["int8"] for row in rows if row["device"] == "all")
        right = Validated(epoch, min(row["int8"] for row in rows), mean)
        return twin._replace(float32=content, finetuned_epochs=epoch, tried=(right,))

    yield validated(quantized(content, listener), 0)
    for epoch, tuned in finetuned(model, listener, epochs, rate):
        yield validated(quantized(export.exported(tuned, "onnx", opset), listener), epoch)


def best(twins: Sequence[Twin]) -> Twin:
    """The candidate that does best on its worst device of validation, of equals on all of these
    clips, of equals the first.
    """
    found = max(twins, key=lambda twin: twin.tried[-1][1:])
    return found._replace(tried=tuple(each for twin in twins for each in twin.tried))


def judged(twin: Twin, listener: Listener) -> Twin:
    """The twin with the accuracies of both files on each device of all held-out clips."""
    runners = {
        "float32": export.runner(twin.float32, "onnx"),
        "int8": export.runner(twin.int8, "onnx"),
    }
    return twin._replace(devices=tuple(_scores(runners, listener, held_out(listener))))


def _scores(
    runners: Mapping[str, Runner], listener: Listener, sets: Iterable[EvaluationSet]
) -> list[dict[str, Any]]:
    """Split, device, clips, and the share of them that each runner answers right, by its name."""
    right: dict[tuple[str, str], list[tuple[bool, ...]]] = {}
    for split, microphone, of_B, waves_BT in through(listener, sets, BATCH):
        targets_B = listener.targets[of_B]
        devices = listener.rows(of_B, microphone)["device"]
        answers = [run(waves_BT)[1].argmax(axis=1) == targets_B for run in runners.values()]
        for device, *each in zip(devices, *answers, strict=True):
            for named in {"all", device} - {""}:
                right.setdefault((split, named), []).append(tuple(map(bool, each)))
    rows = []
    for (split, device), answered in sorted(right.items()):
        shares = dict(zip(runners, np.mean(answered, axis=0).tolist(), strict=True))
        rows.append({"split": split, "device": device, "clips": len(answered), **shares})
    return rows


def refused(twin: Twin, most: float) -> str:
    """Why the twin is not written; "" where it may be."""
    if twin.lost <= most:
        return ""
    return (
        f"--int8: nothing was written, as {named(twin.worst)} loses {twin.lost:.1f} points "
        f"({compared(twin.worst)}), more than --max-loss {most:g}: allow it, or --force"
    )


def named(row: Mapping[str, Any]) -> str:
    """Of which clips a row of `devices` is: `unseen device b`, `the seen split`."""
    split, device = row["split"], row["device"]
    return f"the {split} split" if device == "all" else f"{split} device {device}"


def compared(row: Mapping[str, Any]) -> str:
    """Both accuracies of a row of `devices`: `80.0 to 75.0 % of 40 clips`."""
    return f"{100 * row['float32']:.1f} to {100 * row['int8']:.1f} % of {row['clips']} clips"


def keep(results: Results, trial: str, twin: Twin, samples: int) -> dict[str, Any]:
    """Measure both files on one thread of onnxruntime, and record latencies, bytes and accuracies.
    Returns what a card says of them.
    """
    times = {}
    where = latency.here()
    for precision, content in (("float32", twin.float32), ("int8", twin.int8)):
        rows = latency.of_file(trial, content, Job(samples=samples, precision=precision), where)
        latency.keep(results, trial, rows)
        times[precision] = {name: rows[0][name] for name in ("p50_ms", "p95_ms")}
    sizes = {"float32_bytes": len(twin.float32), "int8_bytes": len(twin.int8)}
    about = {
        "trial": trial,
        "calibration_clips": twin.calibration_clips,
        "finetuned_epochs": twin.finetuned_epochs,
        **sizes,
    }
    now = datetime.now(UTC)
    rows = [
        {name if name in ("split", "device", "clips") else f"{name}_accuracy": value
         for name, value in row.items()}
        for row in twin.devices
    ]  # fmt: skip
    results.write("int8", trial, [about | row | {"made": now} for row in rows])
    del about["trial"]
    front_end = {"float32": twin.float32, "int8": twin.int8}
    return about | {
        "front_end_bytes": {of: export.front_end_bytes(file) for of, file in front_end.items()},
        "tried": [each._asdict() for each in twin.tried],
        "latency": times,
        "machine": where,
        "lost": twin.lost,
        "worst": f"{named(twin.hardest)}, {compared(twin.hardest)}" if twin.hardest else None,
        "devices": rows,
        "remarks": _remarks(sizes, times),
    }


def _remarks(sizes: Mapping[str, int], times: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What eight bits do not bring here, a sentence each."""
    found = []
    whole, small = sizes["float32_bytes"], sizes["int8_bytes"]
    if small >= whole:
        found.append(
            f"int8 saves no bytes here: {small:,} against {whole:,}, as what describes the "
            "quantization outweighs what so few weights save"
        )
    slow, fast = times["float32"]["p50_ms"], times["int8"]["p50_ms"]
    if fast >= slow:
        found.append(f"int8 is not faster on this machine: p50 {fast:.2f} ms against {slow:.2f} ms")
    return found
