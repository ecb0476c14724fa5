"""files: written whole or not at all; small ones read with a limit on their size."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from las_neuro.errors import ConfigError, OutputError

REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "write to a disk that takes files of this size",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder on a disk that is not read-only",
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "name a file inside a folder",
    errno.EISDIR: "name a file, not a folder",
}


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all; raises `OutputError`."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as handle, os.fdopen(handle, "wb", closefd=False) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[int]:
    """A file beside `path`, open for writing; in the end it is synced and renamed into place.

    Whatever OSError the block raises becomes `OutputError`; then `path` is as it was and nothing
    else is left.
    """
    handle = temporary = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        yield handle
        os.fchmod(handle, _mode(path))
        os.fsync(handle)
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or str(error)
        remedy = REMEDIES.get(error.errno or 0, "check the path, or write somewhere else")
        raise OutputError(f"{path}: cannot be written ({why})", remedy) from error
    finally:
        if handle is not None:
            os.close(handle)
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def check_place(path: Path, remedy: str) -> None:
    """Raise `OutputError` before the work, where `path` could not be written after it."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy) from error


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_small(path: Path, most: int) -> str:
    """A text file that a user named; `ConfigError` where it is larger than `most` bytes."""
    try:
        if path.stat().st_size > most:
            raise ConfigError(f"{path}: larger than {most} bytes", "check the path")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text ({error})", "check the path") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", "check the path") from error


def _mode(path: Path) -> int:
    """Permissions of the file that is replaced, else what the umask leaves of rw-rw-rw-."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the file system lets a folder be synced."""
    with contextlib.suppress(OSError):
        sync(folder)
