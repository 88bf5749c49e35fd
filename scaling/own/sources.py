"""Sources: the Python files of an own part, read once, hashed, shipped and imported from memory.

They are the module's file, or all .py files of its package, and whatever lies beside it that they
import by name. What is hashed is what runs: modules are made of the bytes that were read, on the
driver and in every worker. Nothing else that they use (installed packages, data files) is covered.
Contents: Sources with `read` and `digest`; `hold` and `held`, those that this process may import;
`imported`.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from scaling.own.names import GROUPS, module_of
from scaling.spelling import nearest

MOST_FILES, MOST_BYTES = 200, 2**20  # of one part, as it is sent to each worker


class Sources(NamedTuple):
    """The files of one module and of what it imports from beside it."""

    module: str  # its top-level name
    folder: str  # where they lie on the machine that read them
    files: tuple[tuple[str, bytes], ...]  # by path below the folder, in the order of paths

    @property
    def digest(self) -> str:
        """SHA-256 of the one file, as `sha256sum` says it; of several, that of all of its lines."""
        each = [(hashlib.sha256(content).hexdigest(), path) for path, content in self.files]
        if len(each) == 1:
            return each[0][0]
        lines = "".join(f"{digest}  {path}\n" for digest, path in each)
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def place(self) -> str:
        """The file or package, for messages."""
        single = any(path == f"{self.module}.py" for path, _ in self.files)
        return str(Path(self.folder) / (f"{self.module}.py" if single else self.module))


def read(folder: Path, module: str) -> Sources | None:
    """The sources of a top-level module in a folder; None where it is not there. Raises ValueError
    where they are too many or cannot be read.
    """
    found: dict[str, bytes] = {}
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for path in _files(folder, name):
            try:
                content = found[path.relative_to(folder).as_posix()] = path.read_bytes()
            except OSError as error:
                raise ValueError(f"{path}: {error.strerror}") from None
            if len(found) > MOST_FILES or sum(map(len, found.values())) > MOST_BYTES:
                raise ValueError(
                    f"{folder / module}: more than {MOST_FILES} files or 1 MiB of source: move "
                    "the part into a package of its own"
                )
            waiting += [each for each in _imports(content) if each not in seen]
        if not found:
            return None
    return Sources(module, str(folder), tuple(sorted(found.items())))


def _files(folder: Path, module: str) -> list[Path]:
    """A module's file, or all of its package's; none where what is installed has that name."""
    package = folder / module
    if (package / "__init__.py").is_file():
        files = [each for each in sorted(package.rglob("*.py")) if not each.is_symlink()]
    elif (file := folder / f"{module}.py").is_file():
        files = [file]
    else:
        return []
    return [] if _elsewhere(folder, module) else files


def _elsewhere(folder: Path, module: str) -> str:
    """Where Python itself finds a module of this name that is not the one in the folder."""
    if module in sys.stdlib_module_names:
        return "Python's own library"
    loaded = sys.modules.get(module)
    spec = loaded.__spec__ if loaded else importlib.util.find_spec(module)
    if spec is None or isinstance(spec.loader, Finder):
        return ""
    origin = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))
    same = origin.absolute().is_relative_to(folder.absolute())
    return "" if same else str(origin)


def _imports(content: bytes) -> Iterator[str]:
    """Top-level names of what a file imports; nothing of one that is no Python."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


class Finder(MetaPathFinder, ExecutionLoader):
    """Imports held sources, before anything else is looked for."""

    def __init__(self) -> None:
        self.held: dict[str, Sources] = {}
        self.modules: dict[str, tuple[bytes, str]] = {}  # by full name: content, path

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """See importlib."""
        if fullname not in self.modules:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def get_filename(self, fullname: str) -> str:
        """See importlib."""
        return self.modules[fullname][1]

    def get_source(self, fullname: str) -> str:
        """See importlib."""
        return importlib.util.decode_source(self.modules[fullname][0])

    def is_package(self, fullname: str) -> bool:
        """See importlib."""
        return self.modules[fullname][1].endswith("__init__.py")

    def hold(self, sources: Sources) -> None:
        """Modules of these names are made of these sources from now on."""
        if self.held.get(sources.module) == sources:
            return
        self.held[sources.module] = sources
        for path, content in sources.files:
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            place = str(Path(sources.folder) / path)
            if self.modules.get(name) != (content, place):
                self.modules[name] = content, place
                for loaded in [*sys.modules]:
                    if loaded.partition(".")[0] in (name.partition(".")[0], sources.module):
                        del sys.modules[loaded]


_FINDER = Finder()


def hold(sources: Sources) -> None:
    """Let this process import these sources: a person has named them, here or on the driver."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.hold(sources)


def held(module: str | None = None) -> tuple[Sources, ...]:
    """The sources that this process may import: all, or those of one top-level module."""
    return tuple(each for name, each in _FINDER.held.items() if module in (None, name))


def found(folders: Sequence[Path], kind: str) -> Sources:
    """The sources of `module:Class` in the first of the folders that has them. Raises ValueError,
    with the nearest name, where none has.
    """
    module = module_of(kind)
    for folder in folders:
        if there := read(folder, module):
            return there
        if (folder / f"{module}.py").is_file() or (folder / module / "__init__.py").is_file():
            raise ValueError(
                f"{kind}: {folder / module} has the name of another module "
                f"({_elsewhere(folder, module)}): rename yours"
            )
    where = ", ".join(map(str, folders)) or "any folder"
    names = [each.stem for folder in folders for each in sorted(folder.glob("*.py"))]
    close = nearest(module, names)
    raise ValueError(
        f"{kind}: no {module}.py in {where}{close if 'did you mean' in close else ''}: name its "
        "folder with OVERHEAR_PARTS"
    )


def imported(kind: str, what: str) -> Any:
    """What `module:Class` names, of sources that are held. Raises ValueError in one line where it
    does not import, and for a name that it lacks.
    """
    name, _, attribute = kind.partition(":")
    (sources,) = held(name.partition(".")[0])
    try:
        module = importlib.import_module(name)
    except Exception as error:  # of whatever kind: it is a person's own code
        said = f"{type(error).__name__}: {error}".splitlines()[-1] if str(error) else repr(error)
        raise ValueError(
            f"{kind}: {sources.place} does not import: {said}{_line(error, sources)}: mend it, or "
            "install what it needs"
        ) from error
    if not hasattr(module, attribute):
        own = [
            key
            for key, value in vars(module).items()
            if getattr(value, "__module__", "").partition(".")[0] == sources.module
        ]
        raise ValueError(f"{kind}: {sources.place} has no {attribute}{nearest(attribute, own)}")
    thing = getattr(module, attribute)
    if not callable(thing) and what != GROUPS[-1].what:
        raise ValueError(f"{kind}: {attribute} is a {type(thing).__name__}, not a {what}")
    return thing


def _line(error: BaseException, sources: Sources) -> str:
    """` (line 3)`, where an error arose in one of the files."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace and not isinstance(error, SyntaxError):
        if trace.tb_frame.f_code.co_filename.startswith(sources.folder):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""
