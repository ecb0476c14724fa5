"""The checkpoint's tokenizer as the JSON text of a `tokenizers` fast tokenizer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from las_neuro.errors import CheckpointError

SOURCES = ("vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")


def tokenizer_json(folder: Path) -> str | None:
    """Text for `tokenizers.Tokenizer.from_str`, with its post-processor; None without a tokenizer.

    Truncation and padding are switched off: a text too long for the context must be an error, and
    padding would cost spikes.  Raises `CheckpointError` if the files are not readable.
    """
    path = folder / "tokenizer.json"
    if path.is_file():
        text = _read(path)
    elif any((folder / name).is_file() for name in SOURCES):
        text = _convert(folder)
    else:
        return None
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with _without_stdout():
        return str(tokenizer.to_str())


@contextlib.contextmanager
def _without_stdout() -> Iterator[None]:
    """Drop what the tokenizers library prints where ids have gaps: stdout may be read as JSON.

    It writes to the descriptor itself, past sys.stdout.
    """
    try:
        stdout = os.dup(1)
    except OSError:  # closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        Tokenizer.from_str(text)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(
            f"{path}: not a readable tokenizer ({error!s:.100})", "fetch the file again"
        ) from error
    return text


def _convert(folder: Path) -> str:
    from transformers import AutoTokenizer

    try:
        slow = AutoTokenizer.from_pretrained(  # type: ignore[no-untyped-call]
            str(folder), local_files_only=True, trust_remote_code=False, use_fast=True
        )
        with _without_stdout():
            return str(slow.backend_tokenizer.to_str())
    except Exception as error:  # conversion of old formats fails in many ways
        raise CheckpointError(
            f"{folder}: transformers cannot make a fast tokenizer ({error!s:.100})",
            "save one beside the model: AutoTokenizer.from_pretrained(...).save_pretrained(folder)",
        ) from error
