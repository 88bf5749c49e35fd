"""Reference: the parts of the site that are made from the code, while mkdocs builds it.

A page marks the place of such a part, `<!-- made: settings -->`; MADE names the parts. README,
CONTRIBUTING, LOG and CHANGELOG stay where they are and become pages of the site. Links work on disk
and on the site. mkdocs calls `on_files` and `on_page_markdown` (mkdocs.yml, hooks).
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("overhear", "scaling", "sweeps", "analysis")
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "LOG.md": "log.md",
    "CHANGELOG.md": "changelog.md",
}
MARK = re.compile(r"<!-- made: (\w+)((?: \w+)*) -->")


def on_files(files: Any, config: Any) -> Any:
    """The documents of the root as pages."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        text = relinked((ROOT / name).read_text())
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page with its marks replaced, and links to documents of the root leading to their pages; an
    unknown mark ends the build.
    """
    above = "../" * page.file.src_uri.count("/")
    for name, made in PAGES.items():
        markdown = markdown.replace(f"](../{above}{name}", f"]({above}{made}")
    return filled(markdown)


def filled(markdown: str) -> str:
    """The text with what its marks name."""
    return MARK.sub(lambda found: MADE[found[1]](*found[2].split()), markdown)


def relinked(text: str) -> str:
    """A document of the root as a page of docs/: its links lead to pages."""
    text = text.replace("](docs/", "](")
    for name, page in PAGES.items():
        text = re.sub(rf"\]\({re.escape(name)}(?=[)#])", f"]({page}", text)
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; empty where there are no rows."""
    lines = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not lines:
        return ""
    shown = [list(head), ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in shown)


def code(text: str) -> str:
    """Text as code; nothing for none."""
    return f"`{text}`" if text else ""


# --- commands ---


def commands() -> str:
    """Every command with its usage, arguments and options, as `--help` has them."""
    import typer.main

    from overhear.command import app

    return "\n\n".join(_described("overhear", typer.main.get_command(app)))


def _described(path: str, command: Any) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield f"## {path}"
        yield (command.help or "").replace("\f", "")
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
        words = " ".join(_argument(each) for each in arguments)
        yield f"```\n{path} {words} [OPTIONS]\n```".replace("  ", " ")
        yield table(
            ("argument", "meaning"),
            [(code(_argument(each)), getattr(each, "help", "") or "") for each in arguments],
        )
        kinds = get_type_hints(command.callback)
        rows = [_option(each, kinds.get(each.name)) for each in options if each.name != "help"]
        yield table(("option", "value", "default", "meaning"), rows)
    for name, each in inner.items():
        yield from _described(f"{path} {name}", each)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).strip("[].").upper()
    name = name if parameter.required else f"[{name}]"
    return f"{name}..." if parameter.nargs == -1 else name


def _option(parameter: Any, kind: Any) -> tuple[str, str, str, str]:
    names = ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else parameter.metavar or _type(kind)
    if parameter.multiple:
        value = f"{value}, repeatable"
    default = parameter.opts[0] if parameter.default is True else parameter.default
    plain = default is None or default is False or default in ("", ()) or callable(default)
    shown = "" if plain else code(str(getattr(default, "value", default)))
    return names, value, shown, parameter.help or ""


def _type(kind: Any) -> str:
    """How a value of this type is written."""
    if inner := [each for each in get_args(kind) if each is not type(None)]:
        return _type(inner[0])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(code(str(each.value)) for each in kind)
    return {int: "a whole number", float: "a number"}.get(kind, "text")


# --- settings, recipes, studies ---


def settings() -> str:
    """A table of settings for each part of a trial."""
    from scaling.settings.catalog import catalog

    parts: dict[str, list[Any]] = {}
    for each in catalog():
        parts.setdefault(each.name.rpartition(".")[0], []).append(each)
    return "\n\n".join(f"## {part or 'trial'}\n\n{_settings(rows)}" for part, rows in parts.items())


def _settings(rows: Sequence[Any]) -> str:
    told = any(each.whose for each in rows)
    made = [
        (
            code(each.name),
            ", ".join(filter(None, (_kind(each.type), each.bound))),
            "required" if each.required else code(_written(each.default)) or "none",
            *([each.whose.removeprefix("of ") or "all"] if told else []),
            each.meaning,
        )
        for each in rows
    ]
    return table(("setting", "value", "default", *(["of"] if told else []), "meaning"), made)


def _kind(words: str) -> str:
    """The type of a setting: the words that it takes as code, numbers in words."""
    named = {"int": "whole number", "float": "number", "text": "text"}
    named["words, comma-separated"] = "words, comma-separated"
    return ", ".join(named.get(word, code(word)) for word in words.split(" | "))


def _written(value: Any) -> str:
    """A value as it is typed after `--set NAME=`."""
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def recipes() -> str:
    """Each recipe with what it is for and its settings that are not at their default."""
    from scaling.settings import flat
    from scaling.settings.catalog import defaults
    from scaling.settings.recipes import ABOUT, RECIPES

    off = defaults()
    rows = []
    for name, trial in RECIPES.items():
        stated = {k: v for k, v in flat(trial).items() if k not in off or v != off[k]}
        words = [f"{k}={_written(v)}" for k, v in stated.items() if v not in (None, "")]
        rows.append((code(name), ABOUT[name], " ".join(map(code, words))))
    return table(("recipe", "for", "settings"), rows)


def departures() -> str:
    """For each paper a table of departures, and one of what its recipe at CPU scale changes."""
    from scaling.settings import leaves
    from scaling.settings.departures import PAPERS, rows, smaller

    parts = []
    for paper in PAPERS:
        found = [
            (code(what) if what in leaves() else what, *rest, code(arm))
            for what, *rest, arm in rows(paper)
        ]
        changed = [(code(name), *rest) for name, *rest in smaller(paper)]
        parts += [
            f"## {paper.title}",
            table(("what", "in the paper", "here", "why", "arm in"), found),
            f"What `{paper.small}` changes against `{paper.recipe}`:",
            table(("setting", "at the paper's scale", "on two cores", "why"), changed),
        ]
    return "\n\n".join(parts)


def studies(*names: str) -> str:
    """A table of studies: those named, each with its version at CPU scale if there is one."""
    from sweeps.arms import written
    from sweeps.study import shipped

    known = {study.name: study for study in shipped()}
    rows, beside = [], []
    for name in names:
        group = [known[each] for each in (name, f"{name}_esc10") if each in known]
        both = ", ".join(code(study.name) for study in group)
        claimed = _claimed(claim.text for claim in group[-1].claims)
        rows.append((both, group[-1].question, claimed, group[0].source))
        beside += [
            (code(group[0].name), each.name, code(written(each)), each.source)
            for each in group[0].arms
        ]
    told = table(("study", "question", "claims", "source"), rows)
    if not beside:
        return told
    arms = table(("study", "arm", "instead of ours", "source"), beside)
    return f"{told}\n\nTheir arms, beside our way of doing it:\n\n{arms}"


def finding(name: str) -> str:
    """A table of the claims that a finding bears on, judged now."""
    from analysis.claims import judge
    from analysis.findings import Kept
    from analysis.ledger import told

    found = Kept(ROOT / "findings" / f"{name}.csv")
    head, rows = told(judge(found, {found.study: found.claims}))
    return table(head, rows)


def _claimed(texts: Iterable[str]) -> str:
    """Claims in a line: those that differ in what stands last are told as one."""
    found: dict[str, list[str]] = {}
    for text in texts:
        claim, _, last = text.partition(", ")
        found.setdefault(claim, []).extend([last] if last else [])
    told = [f"{claim} ({'; '.join(each)})" if each else claim for claim, each in found.items()]
    return "; ".join(told)


def other_studies() -> str:
    """A section for the studies that the page names nowhere else; nothing if there are none."""
    from sweeps.study import shipped

    found = MARK.findall((ROOT / "docs" / "studies.md").read_text())
    named = {name for mark, names in found if mark == "studies" for name in names.split()}
    every = {study.name: study.name.removesuffix("_esc10") for study in shipped()}
    # a version at CPU scale stands in the row of its study
    twins = {name for name, base in every.items() if name != base and base in every}
    others = [n for n, base in every.items() if n not in twins and not named & {n, base}]
    return f"## Other studies\n\n{studies(*others)}" if others else ""


def datasets() -> str:
    """The datasets by name."""
    from scaling.sound.datasets import DATASETS

    return table(
        ("name", "what", "folder", "licence"),
        [
            (code(name), each.about, ", ".join(map(code, each.folders or ())), each.licence)
            for name, each in DATASETS.items()
        ],
    )


# --- records, figures, faults ---


def records() -> str:
    """A table of columns for each kind of record; the manifest's settings in one row."""
    from scaling.results.schemas import SCHEMAS, describe

    parts = []
    for kind in SCHEMAS:
        rows = [row for row in describe(kind) if not row[2].startswith("setting ")]
        if kind == "manifest":
            rows.insert(2, ("network.width, ...", "of each", "every setting of the trial"))
        columns = [(code(name), arrow, meaning) for name, arrow, meaning in rows]
        parts.append(f"## {kind}\n\n{table(('column', 'type', 'meaning'), columns)}")
    return "\n\n".join(parts)


def figures() -> str:
    """The figures by name, with what each shows."""
    from analysis.figures.registry import FIGURES

    return table(
        ("figure", "shows"), [(code(name), _shown(each)) for name, each in FIGURES.items()]
    )


def _shown(figure: Any) -> str:
    """The first sentence about a figure: of its module, or of the one that its class is of."""
    module = figure if inspect.ismodule(figure) else inspect.getmodule(type(figure))
    return sentence(inspect.getdoc(module) or "")


def faults() -> str:
    """What happens, and what Overhear then does: the marks of the tests that make it happen."""
    return table(("what happens", "what Overhear does"), sorted(set(_faults())))


def _faults() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        text = path.read_text()
        if "mark.fault(" not in text:
            continue
        tree = ast.parse(text)
        named = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                happens, then = (
                    named[each.id] if isinstance(each, ast.Name) else ast.literal_eval(each)
                    for each in node.args
                )
                yield happens, then


# --- the map ---


def phrase(path: Path) -> str:
    """The first sentence of a module's docstring: what the file owns."""
    return sentence(ast.get_docstring(ast.parse(path.read_text())) or "")


def sentence(docstring: str) -> str:
    """The first sentence of a docstring, without its full stop."""
    first = re.split(r"(?<=[.?!])\s|\n\n", docstring)[0].replace("\n", " ")
    return first.rstrip(".")


def house() -> str:
    """Every file of the product with what it owns, by folder."""
    parts = []
    for package in PACKAGES:
        for folder in sorted({path.parent for path in (ROOT / package).rglob("*.py")}):
            files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
            owner = phrase(folder / "__init__.py")
            rows = [(code(path.name), phrase(path)) for path in files]
            parts.append(
                f"### {folder.relative_to(ROOT)}/\n\n{owner}.\n\n{table(('file', 'owns'), rows)}"
            )
    return "\n\n".join(parts)


MADE: dict[str, Callable[..., str]] = {
    "commands": commands,
    "settings": settings,
    "recipes": recipes,
    "departures": departures,
    "studies": studies,
    "other_studies": other_studies,
    "finding": finding,
    "datasets": datasets,
    "records": records,
    "figures": figures,
    "faults": faults,
    "map": house,
}
