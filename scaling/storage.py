"""Storage: places that pyarrow opens by a URI, how they are named, and what they complain of.

Nothing that is printed holds credentials. Contents: `opened`, `shown`, `patiently`, `trouble`,
`remedy`. No torch.
"""

import errno
import os
import re
from collections.abc import Callable
from time import monotonic, sleep
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.fs

_DELAYS = int(pa.__version__.split(".")[0]) >= 21  # whether s3:// knows allow_delayed_open
# The user and password of a URI, encoded as they should be or not; `host:8020` is none.
_SECRETS = re.compile(r"^[^/?#@]*@|^[^/?#:@]*:(?!\d+(?:[/?#]|$))(?:[^@]*@|[^/?#]*)")


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
    if uri.startswith("s3://") and _DELAYS:  # a small object then takes one request, not three
        uri += ("&" if "?" in uri else "?") + "allow_delayed_open=true"
    try:
        filesystem, base = pa.fs.FileSystem.from_uri(uri)
    except OSError as error:
        reason, remedy = trouble(error)
        raise ValueError(f"{what} {shown(uri)} cannot be opened ({reason}): {remedy}") from None
    except (pa.ArrowException, ValueError, ImportError) as error:
        raise ValueError(
            f"{what} {shown(uri)!r} is not understood ({trouble(error).reason}): give a folder or "
            "a URI such as s3://bucket/study"
        ) from None
    return filesystem, base


def shown(where: str) -> str:
    """A place as it may be printed: a URI without credentials and options, a path as it is."""
    scheme, mark, rest = where.partition("://")
    return f"{scheme}://{re.split('[?#]', _SECRETS.sub('', rest))[0]}" if mark else where


def patiently(ask: Callable[[], T], seconds: float) -> T:
    """What a store answers. What may pass, no answer or a "slow down", is asked again for so many
    seconds; nothing else is. Raises the store's last OSError.

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


def trouble(error: Exception) -> Trouble:
    """What a filesystem's error means, in a few words without credentials, and the remedy."""
    said = str(error)
    for words, told in _REFUSALS.items():
        if re.search(words, said):
            return told
    if isinstance(error, OSError) and error.strerror:
        # Arrow has more words, which name its functions
        said = os.strerror(error.errno) if error.errno else error.strerror
    line = said.splitlines()[0] if said else type(error).__name__
    line = re.sub(r"\w+://[^\s']*", lambda uri: shown(uri[0]), line)
    return Trouble(line, "check its name and your rights to it")


_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have your quota raised",
    errno.EFBIG: "free some space, or raise the limit on the size of a file (ulimit -f)",
    errno.EACCES: "mend its rights",
    errno.EPERM: "mend its rights",
    errno.EROFS: "have its disk mounted for writing",
    errno.EEXIST: "move the file that is in its way",
    errno.ENOTDIR: "move the file that is in its way",
    errno.EISDIR: "move the folder that is in its way",
    errno.ENOTEMPTY: "remove the folder that is in its way",
    errno.ENAMETOOLONG: "give it a shorter path",
    errno.ELOOP: "mend the link that leads to itself",
    errno.EIO: "check its disk",
    errno.ESTALE: "have its disk mounted again",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "raise the limit on open files of this machine",
}


def remedy(error: OSError) -> str:
    """What a person can do about a local file or folder that cannot be read or written."""
    return _REMEDIES.get(error.errno or 0, "check its name, its rights and its disk")
