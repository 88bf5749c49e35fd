"""Export: a model as one file, from waveform to probabilities, that runs where Overhear is not.

Targets: `onnx` (onnxruntime and others), `torch` (an ExportedProgram for torch.export.load) and
`executorch` (its runtime, by way of XNNPACK). Each takes `waves`, (B, samples) float32 at the
trial's rate, and gives `probabilities` and `logits`, (B, Y), for any B; executorch for one clip,
so that its runner takes a batch clip by clip. ExecuTorch (1.5) plans memory for the most clips, and
gains no time: seven at once take as long as one after another. Nothing in a file names a path of
this machine.
Contents: TARGETS, `exported`, `export_onnx`, `runner`, `front_end_nodes`,
`front_end_bytes`, `about`.
"""

import importlib
import io
import json
import os
import re
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from scaling import optional
from scaling.results.folder import Folder
from scaling.shipping import HIGHEST, LOWEST, OPSET
from scaling.shipping.model import Model
from scaling.shipping.whole import OUTPUTS, WAVES, Whole, program, quiet, refusal
from scaling.spelling import nearest

# B clips, T samples, Y classes

FRONT_END = "frontend"  # how the names of its nodes begin
Waves = NDArray[np.float32]
Answers = tuple[NDArray[np.float32], NDArray[np.float32]]
Runner = Callable[[Waves], Answers]  # waves (B, T) to probabilities and logits (B, Y)


class Target(NamedTuple):
    """A kind of file."""

    ending: str
    remedy: str  # how its libraries are installed
    libraries: dict[str, str]  # that it needs, and the oldest version of each
    write: Callable[[Model, int], bytes]
    read: Callable[[bytes], Runner]


def exported(model: Model, target: str, opset: int = OPSET) -> bytes:
    """The content of a model's file, not yet checked.

    Raises ValueError for a target, an opset or a library that is unknown, missing or too old, and,
    naming the layer, for a network that cannot be exported.
    """
    check_target(target, opset)
    return TARGETS[target].write(model, opset)


def export_onnx(model: Model, path: str | os.PathLike[str], opset: int = OPSET) -> None:
    """Write a model as an ONNX file, whole or not at all. Raises as `exported` does."""
    place = Path(path)
    Folder(place.parent).put(memoryview(exported(model, "onnx", opset)), place.name)


def runner(content: bytes, target: str) -> Runner:
    """What runs a file of this target, on this machine's CPU."""
    return TARGETS[target].read(content)


def check_target(target: str, opset: int = OPSET) -> None:
    """Raise ValueError for a target that there is not, or not here, or whose opset none reads."""
    if target not in TARGETS:
        raise ValueError(f"--to {target}: no such target{nearest(target, TARGETS)}")
    if not LOWEST <= opset <= HIGHEST:
        reason = "too old" if opset < LOWEST else "too new"
        raise ValueError(
            f"--opset {opset} is {reason}: {LOWEST} to {HIGHEST}, {OPSET} unless named"
        )
    if target == "onnx":
        optional.need("export", f"--to {target}")
    needs = TARGETS[target]
    for library, oldest in needs.libraries.items():
        try:
            found = version(library)
        except PackageNotFoundError:
            raise ValueError(f"--to {target} needs {library}: {needs.remedy}") from None
        if _numbers(found) < _numbers(oldest):
            raise ValueError(
                f"--to {target}: {library} {found} is too old, {oldest} or newer is needed: "
                f"{needs.remedy}"
            )


def _numbers(version: str) -> list[int]:
    """1.20.1rc2 as [1, 20]."""
    return [int(part) for part in version.split(".")[:2]]


def about(model: Model) -> dict[str, str]:
    """What a file says of itself, texts by name; `labels` as JSON, in the order of the logits."""
    return {
        "labels": json.dumps(list(model.labels), ensure_ascii=False),
        "rate": str(model.rate),
        "samples": str(model.samples),
        "fill": model.trial.sound.fill,
        "trial": model.id,
        "temperature": repr(model.temperature),
    }


def _onnx(model: Model, opset: int) -> bytes:
    whole = Whole(model)
    captured = program(whole, model.id)
    with quiet():
        try:
            made = torch.onnx.export(
                captured,
                input_names=[WAVES],
                output_names=list(OUTPUTS),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise refusal(whole, model.id, *_blamed(error)) from None
    assert made is not None, "without a path, the program is returned"
    proto = made.model_proto
    _rename(proto.graph)
    for part in (proto, proto.graph, *proto.graph.node,
                 *proto.graph.input, *proto.graph.output, *proto.graph.initializer):  # fmt: skip
        del part.metadata_props[:]  # what torch notes for its developers, paths among it
        part.ClearField("doc_string")
    del proto.graph.value_info[:]
    for place in (*proto.graph.input, *proto.graph.output):
        place.type.tensor_type.shape.dim[0].dim_param = "batch"
    for key, value in about(model).items():
        proto.metadata_props.add(key=key, value=value)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _rename(graph: Any) -> None:
    """Let names of nodes begin with their layers: frontend/..., network/stem/..."""
    layer = ""
    for number, node in enumerate(graph.node):
        noted = {prop.key: prop.value for prop in node.metadata_props}
        if scopes := noted.get("pkg.torch.onnx.name_scopes"):  # else of the layer before it
            layer = re.findall(r"'([^']*)'", scopes)[-2].replace(".", "/")
        node.name = f"{layer}/{node.op_type}_{number}" if layer else f"{node.op_type}_{number}"


def front_end_nodes(content: bytes) -> list[str]:
    """The names of those nodes of an ONNX file that make features of waves: of its front end and
    standardization, which no quantization should touch.
    """
    import onnx

    names = [node.name for node in onnx.load_from_string(content).graph.node]
    return [name for name in names if name.startswith((FRONT_END, "standardize"))]


def front_end_bytes(content: bytes) -> int:
    """The bytes of the fixed tables that these nodes of an ONNX file read."""
    import onnx

    graph, nodes = onnx.load_from_string(content).graph, {*front_end_nodes(content)}
    read = {name for node in graph.node if node.name in nodes for name in node.input}
    tables = [each for each in graph.initializer if each.name in read]
    for sparse in graph.sparse_initializer:
        if sparse.values.name in read:
            tables += [sparse.values, sparse.indices]
    return sum(len(each.raw_data) for each in tables)


def _blamed(error: BaseException) -> tuple[str, BaseException]:
    """The layer of the operator that a target has no twin of, and the error that says so.

    The exporter's own frames tell the operator: its message names it as it is after decomposition.
    """
    layer, cause = "", error
    while True:
        frames = cause.__traceback__
        while frames is not None:
            node = frames.tb_frame.f_locals.get("node")
            if isinstance(node, torch.fx.Node):
                stack = list(node.meta.get("nn_module_stack", {}).values())
                layer = stack[-1][0] if stack else layer
            frames = frames.tb_next
        if cause.__cause__ is None:
            return layer, cause
        cause = cause.__cause__


def _read_onnx(content: bytes) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda waves_BT: session.run(list(OUTPUTS), {WAVES: waves_BT})


def _torch(model: Model, opset: int) -> bytes:  # noqa: ARG001
    captured, buffer = program(Whole(model), model.id), io.BytesIO()
    with quiet():
        torch.export.save(captured, buffer, extra_files={"overhear.json": json.dumps(about(model))})
    return buffer.getvalue()


def _read_torch(content: bytes) -> Runner:
    with quiet():
        module = torch.export.load(io.BytesIO(content)).module()
    return partial(_by_torch, module)


@torch.no_grad()
def _by_torch(module: torch.nn.Module, waves_BT: Waves) -> Answers:
    probabilities_BY, logits_BY = module(torch.from_numpy(waves_BT))
    return probabilities_BY.numpy(), logits_BY.numpy()


def _executorch(model: Model, opset: int) -> bytes:  # noqa: ARG001
    exir: Any = importlib.import_module("executorch.exir")
    partitioner: Any = importlib.import_module(
        "executorch.backends.xnnpack.partition.xnnpack_partitioner"
    )
    whole = Whole(model)
    captured = program(whole, model.id, any_batch=False)
    with quiet():
        try:
            edge = exir.to_edge_transform_and_lower(
                captured,
                partitioner=[partitioner.XnnpackPartitioner()],
                constant_methods=about(model),
            )
            content: bytes = edge.to_executorch().buffer
        except Exception as error:
            # its passes raise many kinds
            raise refusal(whole, model.id, *_blamed(error)) from error
    return content


def _read_executorch(content: bytes) -> Runner:
    runtime: Any = importlib.import_module("executorch.runtime")
    program = runtime.Runtime.get().load_program(content)
    loaded = program.load_method("forward")
    kept = content, program  # read while it runs, and not held by the runtime itself

    def run(waves_BT: Waves) -> Answers:
        assert kept
        answers = [loaded.execute([torch.from_numpy(wave_T[None])]) for wave_T in waves_BT]
        probabilities, logits = (
            [each.numpy().copy() for each in some] for some in zip(*answers, strict=True)
        )
        return np.concatenate(probabilities), np.concatenate(logits)

    return run


TARGETS = {
    "onnx": Target(
        ".onnx",
        "pip install 'overhear-study[export]'",
        {"onnx": "1.17", "onnxruntime": "1.21", "onnxscript": "0.6"},
        _onnx,
        _read_onnx,
    ),
    "torch": Target(".pt2", "", {}, _torch, _read_torch),
    "executorch": Target(
        ".pte",
        "pip install 'overhear-study[executorch]'",
        {"executorch": "1.5"},
        _executorch,
        _read_executorch,
    ),
}
