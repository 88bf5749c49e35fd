"""Imports point one way: scaling imports neither of the others, sweeps and analysis import scaling
and never each other, but that a sweep that runs until its claims are decided has them judged.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("overhear", "scaling", "sweeps", "analysis")
FIGURES = {"matplotlib", "seaborn"}
JUDGED = {"sweeps/adaptive/until_decided.py": "analysis.sequential"}  # when it runs, not before
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(path: Path, first: bool = False) -> set[str]:
    """Every module a file imports, anywhere in it or `first` of all, by its full name."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in tree.body if first else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path):
    package = path.relative_to(ROOT).parts[0]
    forbidden: set[str] = {
        "overhear": {"ray"},
        "scaling": {"sweeps", "analysis", "ray", "overhear", *FIGURES},
        "sweeps": {"analysis", "overhear", *FIGURES},
        "analysis": {"sweeps", "torch", "torchaudio", "ray", "overhear"},
    }[package]
    found = imported(path)
    if allowed := JUDGED.get(str(path.relative_to(ROOT))):
        assert not {name for name in imported(path, first=True) if name.startswith("analysis")}
        found -= {"analysis", allowed}
    assert {name.split(".")[0] for name in found} & forbidden == set()
    if package == "sweeps" and path.relative_to(ROOT).parts[1] != "engine":
        assert "ray" not in tops(path)
    if package == "analysis":
        ours = {name for name in imported(path) if name.startswith("scaling.")}
        ours -= {name for name in ours if name.startswith("scaling.sound.mel")}  # without torch
        light = {
            "commands",
            "interruption",
            "part",
            "results",
            "settings",
            "spelling",
            "storage",
            "text",
            "typed",
        }
        assert {name.split(".")[1] for name in ours} <= light


def test_no_cycles():
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in MODULES
    }
    arrows = {n: {i for i in imported(p) if i in names and i != n} for n, p in names.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"import cycle: {' -> '.join((*above, name))}"
        if name not in done:
            for target in arrows[name]:
                visit(target, (*above, name))
            done.add(name)

    for name in names:
        visit(name, ())


def test_folders_of_scaling_import_those_below_them():
    """In the order of the table in docs/architecture.md, which names each folder once."""
    page = (ROOT / "docs/architecture.md").read_text()
    table = page.partition("the folders of `scaling`")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    floors = {name: -at for at, row in enumerate(rows) for name in re.findall("`(.*?)`", row)}
    folders = {path.parent.name for path in (ROOT / "scaling").glob("*/__init__.py")}
    assert set(floors) == folders
    for own in folders:
        for path in (ROOT / "scaling" / own).rglob("*.py"):
            for name in imported(path):
                package, folder = [*name.split("."), ""][:2]
                if package == "scaling" and folder in folders - {own}:
                    assert floors[folder] < floors[own], f"{path}: {name}"


def package_of(name: str) -> str:
    """The package that a module is in; a file of its own beside the packages is one."""
    return ".".join(name.split(".")[:2])


def test_no_package_imports_another_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        own = package_of(name)
        found = {package_of(other) for other in imported(path) if other.split(".")[0] in PACKAGES}
        arrows.setdefault(own, set()).update(found - {own, *PACKAGES})
    list(TopologicalSorter(arrows).static_order())  # raises CycleError, which names the circle


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*(n for n in sys.modules if '.' not in n))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_no_two_classes_share_a_name():
    """Who searches for one finds one."""
    names = Counter(
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == set()


def test_analysis_needs_neither_torch_nor_ray():
    assert loaded("import analysis.table") & {"torch", "ray"} == set()


def test_records_need_no_torch():
    assert "torch" not in loaded("import scaling.results.records")


def test_trials_need_neither_ray_nor_nnaudio():
    assert (
        loaded("import scaling.training.loop, scaling.results.run_trial")
        & {"ray", "nnAudio", *FIGURES}
        == set()
    )


def test_help_loads_nothing_heavy():
    heavy = {"torch", "ray", "pandas", "numpy", "pyarrow", "pydantic", *FIGURES}
    assert loaded("import overhear, overhear.command") & heavy == set()
