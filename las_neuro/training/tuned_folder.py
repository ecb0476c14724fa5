"""tuned_folder: write a Hugging Face folder with trained neurons, completely or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError

from las_neuro.checkpoint import Checkpoint
from las_neuro.errors import OutputError
from las_neuro.files import check_place, sync
from las_neuro.model_folder import TOKENIZER_FILES

# files besides the weights that make a folder usable
COPIED = (*TOKENIZER_FILES, "generation_config.json", "LICENSE")


class Tables(Protocol):
    """Neurons that can be written beside, or among, a model's weights."""

    def write(self, folder: Path, record: Mapping[str, Any]) -> None: ...


def check_free(out: Path) -> None:
    """Raise `OutputError`, before any training, if folder `out` could not be written afterwards."""
    if out.exists() or out.is_symlink():
        raise OutputError(f"{out}: already exists", "choose a new folder, or remove that one first")
    check_place(out, "choose a folder inside one that exists and is writable")


def write_folder(
    out: Path, model: Any, checkpoint: Checkpoint, tables: Tables, record: Mapping[str, Any]
) -> None:
    """Write model, tokenizer files and neurons to the new folder `out`.

    model: with its own activations in place, so that only its own tensors are saved.  Raises
    `OutputError` if the folder exists or the disk is full.
    """
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
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as its own error
        raise OutputError(
            f"{out}: cannot be written ({error!s:.100})", "free some space and run it again"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
