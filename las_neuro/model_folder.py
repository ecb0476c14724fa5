"""The files of a model folder besides its weights, and all files that a command may read."""

from __future__ import annotations

from pathlib import Path

TOKENIZER_FILES = (
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
)
SETTINGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "model.safetensors.index.json",
    "fas.json",
)
WEIGHTS = "*.safetensors"


def model_files(path: Path | None) -> list[Path]:
    """Every file of a model that a command may read, so that no result replaces one of them.

    path: the model's folder, or a file in it that stands for the folder (its weights, their index,
    its config.json); for any other file, such as a netlist, the result is that file alone.
    """
    if path is None:
        return []
    stands_for_folder = path.suffix == ".safetensors" or path.name in SETTINGS
    if not path.is_dir() and not stands_for_folder:
        return [path]
    folder = path if path.is_dir() else path.parent
    others = [folder / name for name in (*SETTINGS, *TOKENIZER_FILES)]
    return [path, *others, *folder.glob(WEIGHTS)]
