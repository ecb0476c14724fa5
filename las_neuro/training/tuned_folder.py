"""tuned_folder: a Hugging Face folder with neurons it was trained with, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import OutputError
from las_neuro.files import check_place, sync

# beside the weights, what else makes a folder usable
COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "generation_config.json",
    "LICENSE",
)


class Tables(Protocol):
    """Neurons that know how they are kept beside, or among, a model's weights."""

    def write(self, folder: Path, record: Mapping[str, Any]) -> None: ...


def check_free(out: Path) -> None:
    """Raise `OutputError` before the work where its folder could not be written after it."""
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out}: exists already", "name a new folder, or remove that one first")
    check_place(out, "name a folder inside one that exists and that you may write to")


def write_folder(
    out: Path, model: Any, checkpoint: Checkpoint, tables: Tables, record: Mapping[str, Any]
) -> None:
    """model: with its own activations in place, so that only its own tensors are saved."""
    check_free(out)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        model.save_pretrained(fresh, safe_serialization=True)
        for name in COPIED:
            if (checkpoint.folder / name).is_file():
                shutil.copyfile(checkpoint.folder / name, fresh / name)
        tables.write(fresh, record)
        for path in fresh.iterdir():
            path.chmod(0o644)
            sync(path)
        fresh.chmod(0o755)
        sync(fresh)
        fresh.rename(out)
        sync(out.parent)
    except OSError as error:
        raise OutputError(
            f"{out}: could not be written ({error.strerror})", "free some space, and run it again"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
