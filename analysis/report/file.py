"""The file that the report is written to. Contents: file_of, write."""

import os
from collections.abc import Sequence
from pathlib import Path

from analysis.files import REMEDIES
from scaling.results.records import Results
from scaling.storage import shown

NAME = "report.html"


def file_of(results: Sequence[str], out: str | None) -> Path:
    """`out`, else RESULTS/report.html of a single results folder that is local.

    Raises ValueError for an `out` that is empty or a folder, where there are several results
    folders and no `out`, and where the file is not on this machine.
    """
    if out is not None and not out.strip():
        raise ValueError(f"--out {out!r} is empty: name a file, as {NAME}")
    if out is None and len(results) > 1:
        raise ValueError(
            f"{len(results)} results folders are joined: name the file of their report with --out"
        )
    where = Results(results[0])
    if out is None and not where.local:
        raise ValueError(
            f"{where.where} is not on this machine: name a local file for the report with --out"
        )
    if out and "://" in out and not out.startswith("file://"):
        raise ValueError(f"--out {shown(out)} is not on this machine: name a local file")
    file = Path(Results(out).base) if out else Path(where.path(NAME))
    if file.is_dir():
        raise ValueError(f"--out {file} is a folder: name a file in it, as {file / NAME}")
    return file


def write(text: str, file: Path) -> int:
    """Write the report, whole or not at all; its bytes. Raises ValueError where it cannot be."""
    content = text.encode()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "")
        raise ValueError(
            f"{file} cannot be written ({error.strerror or error}): {remedy}name another with --out"
        ) from None
    return len(content)
