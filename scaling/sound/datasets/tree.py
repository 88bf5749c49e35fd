"""Trees: the files below a dataset's root, each of them once, however links are laid.

Conventions: hidden files and folders (a leading dot) and those that systems leave on disks (SYSTEM)
are no part of a dataset. Real folders come before links, so that a file has its own name rather
than that of a link to it. Nothing is opened,
so that a FIFO cannot block. Contents: Tree, `walk`.
"""

import os
import stat
from collections import deque
from pathlib import Path
from typing import NamedTuple

# Bounds that no dataset reaches, and a link to a whole disk does.
ENTRIES = 4_000_000  # files and folders; AudioSet has two million clips
DEPTH = 32  # folders within folders
SYSTEM = frozenset(("__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN"))


class Tree(NamedTuple):
    """What lies below a root, as paths below it, sorted."""

    files: list[str]
    folders: list[str]
    special: list[str]  # FIFOs, sockets and devices
    again: list[str]  # links to what the tree holds anyway, or to a folder around it
    broken: list[str]  # links that lead nowhere
    unnamed: list[str]  # files and folders whose names are not UTF-8, escaped

    def odd(self) -> list[tuple[str, list[str]]]:
        """What is left out whatever the dataset, and why, for a warning."""
        return [
            ("FIFOs, sockets or devices", self.special),
            ("links to what is there already", self.again),
            ("links that lead nowhere", self.broken),
        ]


class _Walk:
    """A walk in progress."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = Tree([], [], [], [], [], [])
        self.entries = 0
        self.files: set[tuple[int, int]] = set()  # device and inode
        self.links: list[str] = []
        real = root.resolve()
        self.folders = {_identity(each.stat()) for each in (real, *real.parents)}

    def everything(self) -> Tree:
        """Real folders first, then what links lead to, in the order of their names."""
        self.scan("")
        while self.links:
            links, self.links = sorted(self.links), []
            for link in links:
                self.follow(link)
        for names in self.tree:
            names.sort()
        return self.tree

    def scan(self, top: str) -> None:
        """A folder and all real folders below it."""
        waiting = deque([top])
        while waiting:
            folder = waiting.popleft()
            try:
                device = (self.root / folder).stat().st_dev
                with os.scandir(self.root / folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                raise ValueError(
                    f"folder {self.root / folder} cannot be read ({error.strerror}): give yourself "
                    "the right to read it (chmod u+rx), or take it out of the dataset"
                ) from None
            for entry in found:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if self._counted(entry.name, name) and self._sorted(entry, name, device):
                    waiting.append(name)

    def _counted(self, name: str, path: str) -> bool:
        """Whether an entry is to be looked at. Raises ValueError where there are too many."""
        self.entries += 1
        if self.entries > ENTRIES:
            raise ValueError(
                f"more than {ENTRIES:,} files below {self.root}: name the folder that holds the "
                "clips alone with --root (does a link lead to a whole disk?)"
            )
        if name.startswith(".") or name in SYSTEM:
            return False
        if not name.isascii() and name != name.encode(errors="ignore").decode():
            self.tree.unnamed.append(ascii(os.fsencode(path))[1:])
            return False
        return True

    def _sorted(self, entry: os.DirEntry[str], name: str, device: int) -> bool:
        """Put an entry where it belongs; whether it is a real folder, which is scanned next."""
        if entry.is_symlink():
            self.links.append(name)
        elif entry.is_dir():
            if name.count("/") >= DEPTH:
                raise ValueError(
                    f"{self.root / name} lies more than {DEPTH} folders deep: name the folder that "
                    "holds the clips with --root"
                )
            self.folders.add((device, entry.inode()))
            self.tree.folders.append(name)
            return True
        elif entry.is_file():
            self.files.add((device, entry.inode()))
            self.tree.files.append(name)
        else:
            self.tree.special.append(name)
        return False

    def follow(self, link: str) -> None:
        """What a link leads to, unless it is in the tree, or around it."""
        try:
            facts = (self.root / link).stat()
        except OSError:
            self.tree.broken.append(link)
            return
        identity, known = _identity(facts), self.files
        if stat.S_ISDIR(facts.st_mode):
            known = self.folders
        elif not stat.S_ISREG(facts.st_mode):
            self.tree.special.append(link)
            return
        if identity in known:
            self.tree.again.append(link)
            return
        known.add(identity)
        if known is self.folders:
            self.tree.folders.append(link)
            self.scan(link)
        else:
            self.tree.files.append(link)


def walk(root: Path) -> Tree:
    """Everything below `root` that is not hidden; links are followed, each file is listed once.

    Raises ValueError for a root that is no folder, a folder that cannot be read, and a tree beyond
    ENTRIES or DEPTH.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: name the one that holds the dataset with --root")
    return _Walk(root).everything()


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino
