"""Storage: places that pyarrow opens by a URI, how they are named, and what they complain of.

Nothing that is printed holds credentials. Whatever stands before the last `@` of an address, and
all of its options, may be one: people write a `/` into a password that should have been encoded,
or one slash where two belong. So an address is cut generously, at worst more than needed. No torch.
Contents: `opened`, `shown`, `secrets`, `scrubbed`, `brief`, `patiently`, `trouble`, `remedy`,
`flush`.
"""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs

_DELAYS = int(pa.__version__.split(".")[0]) >= 21  # whether s3:// knows allow_delayed_open
_SCHEMES = "abfss?|file|ftp|gcs|gs|hdfs|https?|s3[an]?|viewfs|wasbs?"
_KNOWN = rf"(?:{_SCHEMES})\s*(?:[:;]+[/\\]*|[/\\]{{2,}})"  # also as people mistype it
_SCHEME = re.compile(rf"\s*(?:{_KNOWN}|[a-z][\w+.-]+://+|[/\\]{{2,}})", re.I)
_MEANT = re.compile(rf"\s*{_KNOWN}", re.I)
_WITHIN = re.compile(rf"[/\\](?=(?:{_SCHEMES}):[/\\])", re.I)  # a URI taken for a path
_COLON = re.compile(":|%3a", re.I)
_AT = re.compile("@|%40", re.I)
_PORT = re.compile(r"[^/?#:@]*:\d+(?=[/?#]|$)")  # host:8020, of the schemes that have ports
_PORTED = re.compile(r"\s*(hdfs|viewfs|https?|ftp)://", re.I)
_PLACE = re.compile(
    rf"\b(?:(?:{_SCHEMES}):[/\\]|[a-z][\w+.-]*://|(?:{_SCHEMES}):\S*@)[^\s'\"<>]*", re.I
)
_NAMED = re.compile(r"^-*[\w.-]+=")  # an option or a setting before its value
_WEB = re.compile("https?:", re.I)
_CONFIDENTIAL = re.compile("key|secret|token|password|credential|sig|sas|account", re.I)
_LEAST = 4  # letters of a part of a secret that is looked for by itself
_LONGEST = 2000  # letters of an error that is kept


class Trouble(NamedTuple):
    """What went wrong with a file or a store."""

    reason: str
    remedy: str


NO_BUCKET = Trouble("there is no such bucket", "make the bucket")
_REFUSALS = {  # how S3 names them, as a regular expression
    "AWS Error NO_SUCH_BUCKET": NO_BUCKET,
    "AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN)": (
        Trouble(
            "access is denied",
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, and their rights",
        )
    ),
    "AWS Error NETWORK_CONNECTION": Trouble(
        "no store answers",
        "check the network, and endpoint_override, scheme and region in the URI",
    ),
    r"AWS Error (SLOW_DOWN|SERVICE_UNAVAILABLE|THROTTLING)|HTTP status (429|503)": Trouble(
        "the store is overloaded, it asks to come back later", "wait until it is not"
    ),
}
_ERRORS = {  # what a filesystem means by a number, and what helps
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f), or take another filesystem",
    errno.EEXIST: "move the file that is in its way",
    errno.ENOTDIR: "move the file that is in its way",
    errno.EISDIR: "move the folder that is in its way",
    errno.ENOTEMPTY: "move the folder that is in its way",
    errno.ENAMETOOLONG: "give it a shorter path",
    errno.ENOENT: "check its name",
    errno.ELOOP: "mend the link that leads to itself",
    errno.EACCES: "mend its rights",
    errno.EPERM: "mend its rights",
    errno.EROFS: "make its filesystem writable",
    errno.EIO: "check the disk",
    errno.ESTALE: "mount it again",
    errno.ENOTCONN: "mount it again",
    errno.ETIMEDOUT: "check the network",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files (ulimit -n)",
    errno.ENOMEM: "free some memory",
}
# What S3 may do for a while, and not a moment later. (Google's client asks again by itself.)
_PASSING = re.compile(
    "AWS Error (NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|THROTTLING|INTERNAL_FAILURE"
    r"|REQUEST_TIMEOUT)|HTTP status (429|5\d\d)"
)
_FIRST_PAUSE = 0.5  # seconds; each pause is twice the one before

T = TypeVar("T")


def opened(uri: str, what: str) -> tuple[pa.fs.FileSystem, str]:
    """The filesystem of a pyarrow URI, and the path in it; `what` begins the line of an error.

    Raises ValueError when the URI is not understood, or no store says where its bucket lies.
    """
    given = uri
    if uri.startswith("s3://") and _DELAYS:  # a small object then takes one request, not three
        uri += ("&" if "?" in uri else "?") + "allow_delayed_open=true"
    try:
        filesystem, base = pa.fs.FileSystem.from_uri(uri)
    except OSError as error:
        reason, remedy = trouble(error, given)
        raise ValueError(f"{what} {shown(given)} cannot be opened ({reason}): {remedy}") from None
    except (pa.ArrowException, ValueError, ImportError) as error:
        raise ValueError(
            f"{what} {shown(given)!r} is not understood ({trouble(error, given).reason}): give a "
            "folder or a URI such as s3://bucket/study"
        ) from None
    return filesystem, base


def is_uri(where: str) -> bool:
    """Whether a person who wrote this meant a URI, well written or not, and no local path."""
    return "://" in where or _MEANT.match(where) is not None


def shown(where: str) -> str:
    """A place as it may be printed: without credentials, a URI also without its options."""
    path, scheme, rest = _divided(where)
    rest = rest[_secret(scheme, rest) :]
    return _in_a_line(path + scheme + (re.split("[?#]", rest)[0] if scheme else rest))


def _divided(where: str) -> tuple[str, str, str]:
    """The local path before a URI that was taken for one, the URI's scheme, and what follows."""
    path = ""
    if not _SCHEME.match(where) and (within := _WITHIN.search(where)):
        path, where = where[: within.end()], where[within.end() :]
    found = _SCHEME.match(where)
    return (path, found[0], where[found.end() :]) if found else (path, "", where)


def _secret(scheme: str, rest: str) -> int:
    """How many letters of an address after its scheme may be secret."""
    host = re.split("[/?#]", rest)[0]
    if _PORTED.match(scheme) and _PORT.match(rest):
        return 0
    ats = list(_AT.finditer(rest))
    colon = _COLON.search(rest)
    if ats and colon and colon.start() < ats[-1].start():
        before = rest[: colon.start()]
        if scheme or not re.search(r"[/\\]", before):
            return ats[-1].end()
    if not scheme:
        return 0
    ats = list(_AT.finditer(host))
    if ats:
        return ats[-1].end()
    local = scheme.lower().lstrip().startswith("file")
    return len(rest) if _COLON.search(host) and not local else 0


def secrets(where: str) -> list[str]:
    """The parts of an address that are printed nowhere, the longest first; none of a plain path."""
    _, scheme, rest = _divided(where)
    end = _secret(scheme, rest)
    parts = {rest[:end], re.sub("(@|%40)$", "", rest[:end])}
    for option in re.split("[?#&]", rest[end:])[1:] if scheme else ():
        name, _, value = option.partition("=")
        if _CONFIDENTIAL.search(name):
            parts.add(value)
    for part in list(parts):
        parts |= {unquote(part), *re.split(r"[:/@?#&=\s\\]+|%\w\w", part)}
    return sorted((part for part in parts if len(part) >= _LEAST), key=len, reverse=True)


def scrubbed(text: str, *given: str) -> str:
    """A text without the secrets of the addresses in it, nor of those that were `given`.

    Errors of libraries repeat what they were given, whole, in parts or decoded.
    """
    for word in given:
        where = _NAMED.sub("", word)
        if parts := secrets(where):
            text = text.replace(where, shown(where))
            for part in parts:
                text = text.replace(part, "...")
    return _PLACE.sub(_harmless, text)


def _harmless(found: re.Match[str]) -> str:
    """An address in a text as it may be printed; pages of the web keep what they are asked for."""
    place = found[0]
    return place if _WEB.match(place) and not secrets(place) else shown(place)


def brief(text: str, most: int = _LONGEST) -> str:
    """A text of at most so many letters, without its middle where it has more."""
    if len(text) <= most:
        return text
    half = most // 2 - 20
    return f"{text[:half]} ... ({len(text) - 2 * half:,} letters) ... {text[-half:]}"


def _in_a_line(text: str) -> str:
    """A text without what would move the cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def patiently(ask: Callable[[], T], seconds: float) -> T:
    """What a store answers. Transient errors, no answer or a "slow down", are retried for so many
    seconds; others are not. Raises the store's last OSError.

    Arrow itself asks for 6 s before it raises that (its ConnectRetryStrategy).
    """
    end, pause = monotonic() + seconds, _FIRST_PAUSE
    while True:
        try:
            return ask()
        except OSError as error:
            left = end - monotonic()
            if left <= 0 or not _PASSING.search(str(error)):
                raise
        sleep(min(pause, left))
        pause *= 2


def trouble(error: BaseException, *given: str) -> Trouble:
    """What an error of a filesystem or a library means, in a few words without credentials (also
    those of the addresses that it was `given`), and the remedy.
    """
    said = str(error)
    for words, told in _REFUSALS.items():
        if re.search(words, said):
            return told
    remedy = "check its name and your rights to it"
    if isinstance(error, OSError) and error.strerror:
        # Arrow has more words, which name its functions
        said = os.strerror(error.errno) if error.errno else error.strerror
        remedy = _ERRORS.get(error.errno or 0, remedy)
    line = scrubbed(said, *given).strip().splitlines()
    return Trouble(brief(line[0] if line else type(error).__name__, 300), remedy)


def remedy(error: OSError) -> str:
    """What a person can do about a local file or folder that cannot be read or written."""
    return _ERRORS.get(error.errno or 0, "check its name, its rights and its disk")


def flush(path: str | os.PathLike[str]) -> None:
    """Wait until a file or folder, as it is now, is on the disk. Raises OSError."""
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
    except OSError as error:
        # some systems cannot flush a folder, and keep its names as they see fit
        cannot = error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
        if not (cannot and Path(path).is_dir()):
            raise
    finally:
        if descriptor >= 0:
            os.close(descriptor)
