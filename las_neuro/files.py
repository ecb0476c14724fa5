"""files: written whole or not at all, and never over an input; read up to a limit on their size.

A result replaces a regular file or nothing: a device, a pipe, a socket and a folder are refused.  A
symbolic link is followed, so that the file it names is replaced and the link stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from pathlib import Path

from las_neuro.errors import CalibrationError, ConfigError, LasError, OutputError

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
    errno.ELOOP: "name a file; these symbolic links name each other",
}
IRREGULAR = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
BLOCK = 1 << 20  # bytes read at a time
MOST_PIPED = 1 << 30  # most bytes read from a pipe


def sha256_of(path: Path) -> str:
    """The hexadecimal digest of a file's content, read block by block; raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, whole or not at all; raises `OutputError`."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as handle, os.fdopen(handle, "wb", closefd=False) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[int]:
    """Yield a file beside `path`, open for writing; afterwards it is synced and renamed to `path`.

    An OSError in the block becomes `OutputError`; then `path` is unchanged and no other file is
    left.
    """
    handle = temporary = None
    try:
        target = _target(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        yield handle
        os.fchmod(handle, _mode(target))
        os.fsync(handle)
        os.replace(temporary, target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "check the path, or write somewhere else")
        raise _unwritable(path, error.strerror or str(error), remedy) from error
    finally:
        if handle is not None:
            os.close(handle)
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def check_place(path: Path, remedy: str, inputs: Iterable[Path | None] = ()) -> None:
    """Raise `OutputError` before the work if `path` could not be written afterwards.

    inputs: files that the same command reads, and so must not replace.
    """
    try:
        target = _target(path)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error), remedy) from error
    for file in inputs:
        if file is not None and _same(target, file):
            why = "this command reads it" if file == path else f"this command reads it as {file}"
            raise _unwritable(path, why, "name another file")


def _target(path: Path) -> Path:
    """The regular file that `path` names, through links; it need not exist yet."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        what = IRREGULAR.get(stat.S_IFMT(mode), "no regular file")
        raise _unwritable(path, f"it is {what}", "name a regular file")
    return target


def _same(one: Path, other: Path) -> bool:
    """Whether both paths name the same file; False if one does not exist."""
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False


def _unwritable(path: Path, why: str, remedy: str) -> OutputError:
    return OutputError(f"{path}: cannot be written ({why})", remedy)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_small(path: Path, most: int) -> str:
    """The text of a file that a user named.

    Raises `ConfigError` if it cannot be read, is not UTF-8 or is larger than `most` bytes.
    """
    try:
        data = _read(path, most + 1)
        if len(data) > most:
            raise ConfigError(f"{path}: larger than {most} bytes", "check the path")
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text ({error})", "check the path") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", "check the path") from error


def read_text(path: Path, limit: int | None = None) -> tuple[str, bool]:
    """The first `limit` bytes as text (None: all), and whether that is the whole file.

    Raises `CalibrationError` if it cannot be read, is not UTF-8 or is blank.
    """
    try:
        data = _read(path, None if limit is None else limit + 1)
    except OSError as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error.strerror})", "check the path"
        ) from error
    whole = limit is None or len(data) <= limit
    try:  # the limit may cut a character in two
        text = getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError as error:
        raise CalibrationError(
            f"{path}: not UTF-8 text (byte {error.start})", "save the text as UTF-8"
        ) from error
    if not text.strip():
        raise CalibrationError(f"{path}: is empty", "give at least a sentence")
    return text, whole


def _read(path: Path, most: int | None) -> bytes:
    """At most `most` bytes; takes memory for the bytes read, not for the limit."""
    blocks: list[bytes] = []
    rest = float("inf") if most is None else most
    with path.open("rb") as file:
        while rest > 0 and (block := file.read(int(min(BLOCK, rest)))):
            blocks.append(block)
            rest -= len(block)
    return b"".join(blocks)


@contextlib.contextmanager
def rereadable(path: Path | None) -> Iterator[Path | None]:
    """Yield the file itself, or a copy of a pipe's content, because a pipe can be read only once.

    Errors raised inside the block name `path`, not the copy.
    """
    if path is None or path.is_file() or path.is_dir() or not path.exists():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        _copy_pipe(path, copy)
        try:
            yield copy
        except LasError as error:
            what = error.what.replace(str(copy), str(path))
            raise type(error)(what, error.remedy) from error


def _copy_pipe(path: Path, copy: Path) -> None:
    remedy = "save it in a file first"
    try:
        with path.open("rb") as source, copy.open("wb") as sink:
            while block := source.read(BLOCK):
                if sink.tell() + len(block) > MOST_PIPED:
                    raise CalibrationError(f"{path}: gives more than {MOST_PIPED} bytes", remedy)
                sink.write(block)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})", remedy) from error


def _mode(path: Path) -> int:
    """Permissions of the file to be replaced; of a new file, what the umask leaves of rw-rw-rw-."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, if the file system can sync a folder."""
    with contextlib.suppress(OSError):
        sync(folder)
