"""Card: what a reader has to know of an exported model before using it, as a page in Markdown.

Whatever comes from records is escaped. The page holds the script that runs the model without
Overhear. Source: Mitchell et al. 2019, Model cards for model reporting. Contents: `page`, `md`,
`code`.
"""

import re
from collections.abc import Mapping
from typing import Any

from scaling.shipping.script import LIBRARIES, script
from scaling.shipping.whole import MOST
from scaling.text import printable

# how many a file takes at once
CLIPS = {
    "onnx": "It takes any number of clips at once.",
    "torch": f"It takes up to {MOST:,} clips at once.",
    "executorch": "It takes one clip at a time; `answers` below takes any number, one by one.",
}


def page(said: Mapping[str, Any]) -> str:
    """The card in Markdown: facts, with `file`, `target`, `bytes`, `front_end_bytes`, `checked`,
    `chosen`, `calibrated` and `command` of the export added.
    """
    trained, size, worst = said["trained_on"], said["size"], said["worst"]
    heard = trained["microphones"] or trained["devices"]
    blocks = [
        f"# Model {md(said['trial'])}",
        f"{md(said['network'])}. One clip of {said['seconds']:g} s, mono, at {said['rate']:,} Hz, "
        f"to one of {len(said['labels'])} classes: {', '.join(map(md, said['labels']))}.",
        f"Which model this is: {md(said['chosen'])}.",
        "## Trained on",
        f"{md(trained['dataset'])} ({md(trained['about'])}). Licence of the recordings: "
        f"{md(trained['licence'])}. Source: {md(trained['address'])}.",
        _clips(trained),
        f"Heard in training: as recorded{', and through ' if heard else ''}"
        f"{', '.join(map(md, heard))}.",
        "## Accuracy by device",
        _scores(said["accuracy"]),
        _worst(worst),
    ]
    alike = said["configuration"]
    if alike["accuracy"]:
        blocks += [
            f"Of all {alike['trainings']} trainings of this configuration (other folds and seeds), "
            "which is what to expect of another like it:",
            _scores(alike["accuracy"]),
        ]
    blocks += ["## Calibration", f"Probabilities: {md(said['calibrated'])}.", _errors(said)]
    blocks += [
        "## Limits",
        _limits(said),
        "## Size",
        _sizes(said, size),
        _latency(said["latency"]),
        *_twin(said.get("int8")),
        "## Checked",
        f"On {md(said['checked']['clips'])}, at batch 1 and 7, against PyTorch: largest logit "
        f"difference {said['checked']['largest_logit_difference']:.1e}, the same answer for every "
        f"clip.{_instead(said['checked'])}",
        "## Run it",
        *_run(said),
    ]
    again = [f"    {printable(said['command'])}"]
    again += [f"    {printable(said['again'])}"] if said["again"] else []
    blocks += ["## Make it again", "\n".join(again)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _limits(said: Mapping[str, Any]) -> str:
    """What nobody may expect of it."""
    silence = said["silence"]
    return "\n".join(
        [
            "- Devices that are not in the tables above were never heard: what it scores on "
            "them is unknown.",
            f"- It knows no other classes: every clip, also silence ({md(silence['label'])}, "
            f"probability {silence['probability']:.2f}), is given one of them.",
            f"- It hears {said['seconds']:g} s: longer clips are cut, shorter ones are "
            f"{'repeated' if said['fill'] == 'tile' else 'followed by silence'}.",
        ]
    )


def _run(said: Mapping[str, Any]) -> list[str]:
    """What it takes and gives, and the script that runs it."""
    return [
        f"Input: waves (clips, {said['samples']}), float32, full scale 1. Output: probabilities "
        f"and logits (clips, classes). {CLIPS[said['target']]}",
        f"`python run.py {code(said['file'])} RECORDING...`, where run.py is this; it needs "
        f"`pip install {LIBRARIES[said['target']]} soundfile`:",
        f"```python\n{script(said['target'])}```",
    ]


def _clips(trained: Mapping[str, Any]) -> str:
    """How its clips were split, in a sentence."""
    parts = [f"Split by {md(trained['protocol'])}"]
    if trained["fold"] is not None:
        parts.append(f"fold {trained['fold']} held out for the test")
    if trained["validation_fold"] is not None:
        parts.append(f"fold {trained['validation_fold']} for validation")
    if trained["clips"]:
        parts.append(f"{trained['clips']:,} training clips")
    if trained["epochs"]:
        parts.append(f"{trained['epochs']} epochs")
    return f"{', '.join(parts)}; seed {trained['seed']}, data {md(trained['data_digest'])}."


def _scores(rows: list[Mapping[str, Any]]) -> str:
    lines = ["| split | device | accuracy % | 95 % | n |", "| --- | --- | ---: | ---: | --- |"]
    for row in rows:
        between = "-"
        if row["low"] is not None:
            between = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        device = md(row["device"]) or "all clips"
        lines.append(
            f"| {md(row['split'])} | {device} | {100 * row['accuracy']:.1f} | {between} | "
            f"{row['n']} {md(row['unit'])} |"
        )
    return "\n".join(lines)


def _worst(worst: Mapping[str, Any] | None) -> str:
    if worst is None:
        return "No device is named in its test: how it does on the worst one is unknown."
    return f"Worst device: {md(worst['device'])}, {100 * worst['accuracy']:.1f} %."


def _errors(said: Mapping[str, Any]) -> str:
    rows = said["calibration"]["errors"]
    if not rows:
        return ""
    lines = ["| split | error % as trained | with temperature | by chance | answers |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for row in rows:
        names = ("as_trained", "calibrated", "by_chance")
        cells = ["-" if row[name] is None else f"{100 * row[name]:.1f}" for name in names]
        lines.append(f"| {md(row['split'])} | {' | '.join(cells)} | {row['answers']} |")
    return "Expected calibration error:\n\n" + "\n".join(lines)


def _sizes(said: Mapping[str, Any], size: Mapping[str, Any]) -> str:
    rows = {
        "file, bytes": said["bytes"],
        "of these the front end": said.get("front_end_bytes"),
        "parameters": size["parameters"],
        "weights of convolutions and dense layers": size["weights"],
        "of these not pruned": size["kept_weights"],
        "multiply-adds, convolutions and dense layers": size["macs"],
        "the same with normalization, 2 a value (DCASE)": size["macs_with_normalization"],
        "multiply-adds of the front end": size["macs_of_front_end"],
    }
    if size["patches"] > 1:
        rows["patches of a clip, which all of these count"] = size["patches"]
    lines = [f"| {name} | {value:,} |" for name, value in rows.items() if value is not None]
    return "\n".join(["| | |", "| --- | ---: |", *lines])


def _latency(rows: list[Mapping[str, Any]]) -> str:
    if not rows:
        return "Latency: not measured (`overhear measure` does)."
    lines = ["| machine | runtime | precision | from | threads | p50 ms | p95 ms |"]
    lines.append("| --- | --- | --- | --- | ---: | ---: | ---: |")
    for row in rows:
        texts = (md(row[name]) for name in ("machine", "runtime", "precision", "scope"))
        numbers = f"{row['threads']} | {row['p50_ms']:.2f} | {row['p95_ms']:.2f}"
        lines.append(f"| {' | '.join(texts)} | {numbers} |")
    return "Latency of one clip:\n\n" + "\n".join(lines)


def _twin(twin: Mapping[str, Any] | None) -> list[str]:
    """The int8 twin beside the file: bytes, latency, and accuracy by device."""
    if not twin:
        return []
    lines = ["| | float32 | int8 |", "| --- | ---: | ---: |"]
    lines.append(f"| bytes | {twin['float32_bytes']:,} | {twin['int8_bytes']:,} |")
    front_end = (f"{twin['front_end_bytes'][of]:,}" for of in ("float32", "int8"))
    lines.append(f"| of these the front end | {' | '.join(front_end)} |")
    for name in ("p50_ms", "p95_ms"):
        each = (f"{twin['latency'][of][name]:.2f}" for of in ("float32", "int8"))
        lines.append(f"| {name.replace('_', ', ')} | {' | '.join(each)} |")
    for row in twin["devices"]:
        shares = (f"{100 * row[f'{of}_accuracy']:.1f}" for of in ("float32", "int8"))
        where = f"{md(row['split'])}, {md(row['device'])}, {row['clips']} clips"
        lines.append(f"| accuracy %, {where} | {' | '.join(shares)} |")
    return [
        "## int8",
        f"{md(twin['file'])} is its int8 twin: convolutions and dense layers in eight bits, per "
        f"channel, calibrated on {twin['calibration_clips']} training clips; the front end stays "
        "in float32, its tables without their zeros. Latency: one clip, one thread of onnxruntime "
        f"on {md(twin['machine'])}.{''.join(f' {md(each)}.' for each in twin['remarks'])}",
        "\n".join(lines),
        f"Worst device, float32 to int8: {md(twin['worst'])}." if twin["worst"] else "",
        _tried(twin),
    ]


def _tried(twin: Mapping[str, Any]) -> str:
    """How long it was fine-tuned, and why."""
    if not twin["tried"]:
        return ""
    lines = ["| epochs | worst device % | all clips % |", "| ---: | ---: | ---: |"]
    for row in twin["tried"]:
        lines.append(f"| {row['epochs']} | {100 * row['worst']:.1f} | {100 * row['mean']:.1f} |")
    return (
        f"Fine-tuned for {twin['finetuned_epochs']} epochs at a learning rate of "
        f"{twin['finetune_rate']:g}, chosen by validation clips (highest on the worst device, of "
        "equals on all clips, of equals the fewest epochs):\n\n"
    ) + "\n".join(lines)


def _instead(checked: Mapping[str, Any]) -> str:
    return f" Its own clips were not here: {md(checked['reason'])}." if checked["reason"] else ""


def md(text: object) -> str:
    """A text of records or users as Markdown shows it, and nothing else: no markup, no links."""
    plain = re.sub(r"([\\`*_{}\[\]<>#!|~&$@])", r"\\\1", printable(text))
    return plain.replace("://", "\\://")


def code(text: object) -> str:
    """A text within backticks."""
    return printable(text).replace("`", "'")
