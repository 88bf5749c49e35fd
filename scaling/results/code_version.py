"""The code that planned a launch: its commit and, where its files were changed, their diff.

Only the files that decide what trials do are looked at. Contents: CodeVersion, `code_version`.
"""

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CODE = ("overhear", "scaling", "sweeps")
LARGEST = 2**20  # bytes of a diff that are kept
PATIENCE = 30  # seconds for git to answer


class CodeVersion(NamedTuple):
    """What a manifest says of the code, and what lies beside it."""

    commit: str  # of 40 hex digits; of changed files `+` and the digest of their diff follow
    digest: str = ""  # of the whole diff: 12 hex digits of its SHA-256; empty: nothing changed
    diff: bytes = b""  # with a note at its end where it is cut


def code_version(root: Path = ROOT) -> CodeVersion | None:
    """The version of the code in a checkout; None where it is not in one, or git does not say."""
    try:
        _git(root, "ls-files", "--error-unmatch", *CODE[:2])  # else the checkout is another's
        commit = _git(root, "rev-parse", "HEAD").decode().strip()
        diff = _git(
            root, "diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD", "--", *CODE
        )
        listed = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *CODE)
    except (OSError, subprocess.SubprocessError):
        return None
    diff += b"".join(_added(root, name) for name in sorted(listed.decode().split("\0")) if name)
    if not diff:
        return CodeVersion(commit)
    digest = hashlib.sha256(diff).hexdigest()[:12]
    if len(diff) > LARGEST:
        note = f"\n... cut: the first {LARGEST:,} of {len(diff):,} bytes are kept\n".encode()
        diff = diff[:LARGEST] + note
    return CodeVersion(f"{commit}+{digest}", digest, diff)


def _git(root: Path, *words: str) -> bytes:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout


def _added(root: Path, name: str) -> bytes:
    """A file that git does not know yet, as a diff would show it."""
    path = root / name
    if path.suffix != ".py" or not path.is_file() or path.is_symlink():
        return b""
    with path.open("rb") as file:
        lines = file.read(LARGEST).splitlines()
    head = f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n".encode()
    return head + b"".join(b"+" + line + b"\n" for line in lines)
