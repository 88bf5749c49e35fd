"""int8: an exported network whose convolutions and dense layers compute in eight bits.

Static quantization by onnxruntime: QDQ, per channel, symmetric int8 weights and uint8 activations,
whose ranges are those on training clips. Damping, masks and normalization are folded into the
weights first; front end and standardization stay in float32. The twin is judged on all held-out
clips, through each of the trial's microphones, and refused where it loses too much on any device.
Contents: CALIBRATION, MOST_LOST, Twin, `quantized`, `judged`, `refused`, `keep`.
"""

# B clips, T samples, Y classes

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scaling.results.records import Results
from scaling.seeds import stream
from scaling.shipping import export, latency
from scaling.shipping.agreement import held_out
from scaling.shipping.export import Waves
from scaling.shipping.stopwatch import Job
from scaling.shipping.whole import WAVES, quiet
from scaling.training.inputs import Listener

CALIBRATION = 128  # training clips, or all of fewer
MOST_LOST = 2.0  # points of accuracy on any device
BATCH = 7
QUANTIZED = ["Conv", "Gemm", "MatMul"]  # operators of convolutions and dense layers


class Twin(NamedTuple):
    """An int8 file beside the float32 one that it is made from."""

    float32: bytes
    int8: bytes
    calibration_clips: int
    finetuned_epochs: int = 0
    devices: tuple[dict[str, Any], ...] = ()  # split, device, clips, float32 and int8 (accuracies)

    @property
    def worst(self) -> dict[str, Any]:
        """Of the device that loses most."""
        return max(self.devices, key=lambda row: row["float32"] - row["int8"])

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
        return Twin(content, Path(made).read_bytes(), len(drawn))


class _Clips:
    """Clips one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, listener: Listener, rows: np.ndarray) -> None:
        self.left = (listener.waves(rows[at : at + 1]).cpu().numpy() for at in range(len(rows)))

    def get_next(self) -> dict[str, Waves] | None:
        """The next clip; None after the last."""
        wave = next(self.left, None)
        return None if wave is None else {WAVES: wave}


def judged(twin: Twin, listener: Listener) -> Twin:
    """The twin with the accuracies of both files on each device of all held-out clips."""
    runners = {
        "float32": export.runner(twin.float32, "onnx"),
        "int8": export.runner(twin.int8, "onnx"),
    }
    right: dict[tuple[str, str], list[tuple[bool, ...]]] = {}
    for split, microphone, of_B, waves_BT in held_out(listener, BATCH):
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
    return twin._replace(devices=tuple(rows))


def refused(twin: Twin, most: float) -> str:
    """Why the twin is not written; "" where it may be."""
    if twin.lost <= most:
        return ""
    worst = twin.worst
    return (
        f"--int8: nothing was written, as {worst['split']} device {worst['device']} loses "
        f"{twin.lost:.1f} points ({100 * worst['float32']:.1f} to {100 * worst['int8']:.1f} % of "
        f"{worst['clips']} clips), more than --max-loss {most:g}: allow it, or --force"
    )


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
    about = {"trial": trial, "calibration_clips": twin.calibration_clips, **sizes}
    about["finetuned_epochs"] = twin.finetuned_epochs
    now = datetime.now(UTC)
    named = [
        {name if name in ("split", "device", "clips") else f"{name}_accuracy": value
         for name, value in row.items()}
        for row in twin.devices
    ]  # fmt: skip
    results.write("int8", trial, [about | row | {"made": now} for row in named])
    del about["trial"]
    return about | {"latency": times, "machine": where, "lost": twin.lost, "devices": named}
