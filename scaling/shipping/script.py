"""Script: a few lines of Python that run an exported model where Overhear is not.

Each target's runtime, numpy and soundfile are all that it needs. The script prints a JSON line for
each recording; its `answers` takes any number of clips. Contents: LIBRARIES, `script`.
"""

LIBRARIES = {"onnx": "onnxruntime", "torch": "numpy torch", "executorch": "executorch"}
_IMPORTS = {
    "onnx": "import onnxruntime\nimport soundfile",
    "torch": "import soundfile\nimport torch",
    "executorch": "import soundfile\nimport torch\nfrom executorch.runtime import Runtime",
}
_LOADED = {
    "onnx": """\
model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = model.get_modelmeta().custom_metadata_map
""",
    "torch": """\
files = {"overhear.json": ""}
model = torch.export.load(sys.argv[1], extra_files=files).module()
about = json.loads(files["overhear.json"])
""",
    "executorch": """\
program = Runtime.get().load_program(sys.argv[1])
model = program.load_method("forward")
names = program.method_names - {"forward"}
about = {name: program.load_method(name).execute([])[0] for name in names}
""",
}
_ANSWERED = {
    "onnx": """\
    return model.run(["probabilities", "logits"], {"waves": waves})
""",
    "torch": """\
    with torch.no_grad():
        return [each.numpy() for each in model(torch.from_numpy(waves))]
""",
    "executorch": """\
    each = [model.execute([torch.from_numpy(wave[None])]) for wave in waves]  # one at a time
    return [np.concatenate([clip[i].numpy().copy() for clip in each]) for i in (0, 1)]
""",
}
_SCRIPT = '''\
import json
import sys

import numpy as np
{imports}

{loaded}labels, rate, samples = (json.loads(about[name]) for name in ("labels", "rate", "samples"))


def answers(waves):
    """Probabilities and logits, (clips, classes), of waves, (clips, samples), float32."""
{answered}

for path in sys.argv[2:]:
    wave, heard_at = soundfile.read(path, dtype="float32", always_2d=True)
    wave = wave.mean(axis=1)
    if heard_at != rate:
        import soxr  # pip install soxr

        wave = soxr.resample(wave, heard_at, rate, quality="HQ")
    wave = np.rint(32768 * wave).clip(-32768, 32767) / 32768  # 16 bits, as in training
    wave = wave[:samples].astype(np.float32)
    if about["fill"] == "tile":
        wave = np.resize(wave, samples)
    wave = np.pad(wave, (0, samples - len(wave)))
    probabilities, logits = answers(wave[None])
    best = int(probabilities[0].argmax())
    print(json.dumps({{"file": path, "label": labels[best],
                      "probability": float(probabilities[0, best]),
                      "logits": logits[0].tolist()}}))
'''


def script(target: str) -> str:
    """The script that runs a file of this target: `python run.py FILE RECORDING...`."""
    return _SCRIPT.format(
        imports=_IMPORTS[target], loaded=_LOADED[target], answered=_ANSWERED[target]
    )
