"""README tells the truth: its map is the tree on disk, its tables are the schemas and the faults
that tests really make. `make readme` and `make faults` rewrite them.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scaling.results.schemas import SCHEMAS, describe

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def phrase(path: Path) -> str:
    """The first sentence of a module's docstring: what the file owns."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = re.split(r"(?<=[.?!])\s|\n\n", docstring)[0].replace("\n", " ")
    return first.rstrip(".")


def house() -> str:
    """The tree of the three packages and the one command, a phrase per file."""
    lines = ["```", f"{'overhear.py':38} {phrase(ROOT / 'overhear.py')}"]
    for package in ("scaling", "sweeps", "analysis"):
        for path in sorted((ROOT / package).rglob("*.py"), key=lambda p: (p.parent, p.name)):
            name = path.relative_to(ROOT)
            shown = (
                f"{name.parent}/"
                if path.name == "__init__.py"
                else "  " * len(name.parts[:-1]) + name.name
            )
            lines.append(f"{shown:38} {phrase(path)}")
    return "\n".join([*lines, "```"])


def tables() -> str:
    """One Markdown table per kind of record; the manifest's settings in one row."""
    parts = []
    for kind in SCHEMAS:
        parts.append(f"**{kind}**\n\n| column | type | meaning |\n| --- | --- | --- |")
        rows = [row for row in describe(kind) if not row[2].startswith("setting ")]
        if kind == "manifest":
            rows.insert(
                2, ("network.width, seed, ...", "of each", "every setting of the trial, flattened")
            )
        parts[-1] += "".join(
            f"\n| `{name}` | {kind_} | {meaning} |" for name, kind_, meaning in rows
        )
    return "\n\n".join(parts)


def faults(rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table of what happens, and what then."""
    lines = sorted({f"| {happens} | {then} |" for happens, then in rows})
    return "\n".join(["| what happens | what then |", "| --- | --- |", *lines])


def marks() -> Iterator[Iterable[str]]:
    """What the marks of all tests say of faults."""
    for path in Path(__file__).parent.glob("test_*.py"):
        if "mark.fault(" in path.read_text() and path != Path(__file__):
            for found in vars(importlib.import_module(path.stem)).values():
                yield from (m.args for m in getattr(found, "pytestmark", ()) if m.name == "fault")


def write(parts: Mapping[str, str]) -> None:
    """README with these of its parts made anew."""
    README.write_text(filled(README.read_text(), parts))


def filled(text: str, parts: Mapping[str, str]) -> str:
    for mark, made in parts.items():
        pattern = re.compile(rf"(<!-- {mark} -->).*(<!-- /{mark} -->)", re.DOTALL)
        text = pattern.sub(lambda found, made=made: f"{found[1]}\n{made}\n{found[2]}", text)
    return text


def test_readme_is_up_to_date():
    text = README.read_text()
    assert text == filled(text, {"map": house(), "records": tables()}), "run: make readme"


def test_its_faults_are_those_that_are_tested():
    text = README.read_text()
    assert "<!-- faults -->" in text
    assert text == filled(text, {"faults": faults(marks())}), "run: make faults"


def test_every_file_says_what_it_owns():
    for package in ("scaling", "sweeps", "analysis"):
        for path in (ROOT / package).rglob("*.py"):
            assert 10 < len(phrase(path)) < 140, path


def test_named_files_and_commands_exist():
    text = README.read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:scaling|sweeps|analysis|benchmarks|tests)/[\w/.]+\.py)`", text):
        assert "NAME" in name or (ROOT / name).is_file(), name


if __name__ == "__main__":
    write({"map": house(), "records": tables()})
