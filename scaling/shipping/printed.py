"""Printed: a model's answers to recordings, as a table, as CSV or as JSON lines.

Answers go to standard output, all else to standard error. Heavy libraries are imported when answers
are printed, so that help is instant. Contents: Form, show.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from scaling.shipping.model import Model
    from scaling.shipping.predict import Answer

TOP = 3  # classes that a row of the table names


class Form(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def show(
    model: "Model", clips: Sequence[str], hop: float | None, top: int | None, form: Form
) -> int:
    """Print what a model answers to recordings; how many of these cannot be read, which standard
    error says of each. Raises ValueError as `scaling.shipping.predict.predict` does.
    """
    from scaling.shipping.hop import hop_samples
    from scaling.shipping.predict import answers
    from scaling.shipping.windows import find
    from scaling.text import printable

    hop_samples(hop, model.trial.sound)  # before anything is printed
    files = find(clips)
    out, unread = sys.stdout, 0  # while a bar stands there, rich takes sys.stdout for its own
    bar = "listening" if form is Form.TABLE or not out.isatty() else ""

    def told() -> "Iterator[Answer]":
        nonlocal unread
        for answer in answers(model, files, hop, bar):
            if answer.probabilities_Y is None:
                unread += 1
                line = f"{printable(answer.file)}: {printable(answer.note)}"
                print(f"overhear: {line}", file=sys.stderr)
            yield answer

    prints = {Form.TABLE: _table, Form.CSV: _csv, Form.JSON: _json}
    prints[form](told(), model.labels, top, out)
    return unread


def _ranked(answer: "Answer", labels: Sequence[str], top: int | None) -> list[tuple[str, float]]:
    """The most probable classes first, `top` of them or all; none of what cannot be read."""
    if answer.probabilities_Y is None:
        return []
    order = (-answer.probabilities_Y).argsort(kind="stable")[:top]
    return [(labels[y], float(answer.probabilities_Y[y])) for y in order]


def _facts(answer: "Answer", ranked: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """What CSV and JSON say of an answer, besides its further classes."""
    known = bool(ranked)
    label, chance = ranked[0] if known else (None, 0.0)
    return {
        "file": answer.file,
        "part": answer.part,
        "start": round(answer.start, 3),
        "end": round(answer.end, 3) if known else None,
        "label": label,
        "probability": round(chance, 6) if known else None,
        "note": answer.note,
    }


def _json(found: "Iterable[Answer]", labels: Sequence[str], top: int | None, out: TextIO) -> None:
    for answer in found:
        ranked = _ranked(answer, labels, top)
        chances = {label: round(chance, 6) for label, chance in ranked}
        print(json.dumps(_facts(answer, ranked) | {"probabilities": chances}), file=out)


def _csv(found: "Iterable[Answer]", labels: Sequence[str], top: int | None, out: TextIO) -> None:
    """With `top`, the further classes by rank, else a column for every class."""
    ranks = range(2, min(top, len(labels)) + 1) if top else ()
    names = [f"{name}_{rank}" for rank in ranks for name in ("label", "probability")]
    first = ["file", "part", "start", "end", "label", "probability", "note"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*first, *(names if top else (f"p({label})" for label in labels))])
    for answer in found:
        ranked = _ranked(answer, labels, None)
        if top:
            more = [cell for label, p in ranked[1:top] for cell in (label, round(p, 6))]
        else:
            chances = dict(ranked)
            more = [round(chances[label], 6) if chances else "" for label in labels]
        writer.writerow([*_facts(answer, ranked).values(), *more])


def _table(found: "Iterable[Answer]", labels: Sequence[str], top: int | None, out: TextIO) -> None:
    """Recordings that were answered; notes below."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from scaling.shipping.predict import WINDOW
    from scaling.text import behind, printable

    def text(words: object) -> Text:
        return Text(printable(words))

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("recording", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("%", justify="right", no_wrap=True)
    count = TOP if top is None else top
    if count > 1:
        table.add_column("then", overflow="fold")
    notes, several, before = [], False, ""
    for answer in found:
        ranked = _ranked(answer, labels, count)
        if not ranked:
            continue
        (label, chance), *others = ranked
        times = f"{answer.start:.1f} to {answer.end:.1f}"
        window = answer.part == WINDOW
        several |= window
        if not window and before == answer.file:
            times = "whole"
        name = "" if before == answer.file else answer.file
        then = [", ".join(f"{each} {100 * p:.1f}" for each, p in others)] if count > 1 else []
        table.add_row(text(name), times, text(label), f"{100 * chance:.1f}", *map(text, then))
        before = answer.file
        if answer.note:
            notes.append(f"{answer.file}: {answer.note}")
    if table.row_count:
        Console(file=behind(out)).print(table)
    if several:
        notes.append("whole: the mean of the windows' probabilities")
    for line in notes:
        print(line, file=out)
