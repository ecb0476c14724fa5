"""Train the tiny Llama-architecture language model in examples/tiny_lm from a fixed seed.

The text is `pydoc_data.topics`, the Python language reference that is part of every
interpreter; the tokenizer is a byte-level BPE of 1024 tokens trained on the same text.
Every sixth topic is held out, and the weights with the lowest held-out loss are kept.
The default run takes about 5 minutes on one CPU thread; `--steps 20` is a smoke test.
"""

import hashlib
import math
import os
import platform
import shutil
import sys
from datetime import date
from pathlib import Path
from pydoc_data.topics import topics
from typing import Annotated

import torch
import typer
from rich.progress import track
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FOLDER = Path(__file__).with_name("tiny_lm")
SEED = 20261123
BOS = "<s>"
VOCABULARY = 1024
CONTEXT = 256
BATCH = 8
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 3.0  # strong, because 1500 steps read this small text 27 times
WARMUP = 50
EVAL_EVERY = 100
CALIBRATION_CHARS = 16 * 1024


def main(
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 1500,
    out: Annotated[
        Path, typer.Option(help="Folder to write; an existing one is replaced.")
    ] = FOLDER,
) -> None:
    """Train the model and write it as a Hugging Face folder."""
    if out.exists() and not (out / "heldout.txt").exists():
        raise typer.BadParameter(f"{out} exists and is not a folder this script wrote")
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    train_text, heldout_text = split_corpus(topics)
    tokenizer = train_tokenizer(train_text)
    train_tokens = encode(tokenizer, train_text)
    heldout = cut_windows(encode(tokenizer, heldout_text))
    model = build_model()
    print(f"{model.num_parameters()} parameters, {len(train_tokens)} training tokens", flush=True)
    best_step = fit(model, train_tokens, heldout, steps)
    losses = mean_loss(model, cut_windows(train_tokens)), mean_loss(model, heldout)
    readme = describe(model, steps, best_step, *losses)
    calibration_text = train_text[:CALIBRATION_CHARS]
    texts = {"README.md": readme, "heldout.txt": heldout_text, "calibration.txt": calibration_text}
    write_folder(out, model, tokenizer, texts)
    print(readme)


def split_corpus(corpus: dict[str, str]) -> tuple[str, str]:
    """Training and held-out text.

    Topics quote one another at length, so a paragraph that also occurs in the held-out text, or
    earlier in the training text, is dropped from the training text.  Paragraphs of less than 40
    characters ("Note:") are kept.
    """
    names = sorted(corpus)
    heldout_text = "\n".join(corpus[name] for name in names[4::6])
    seen = {" ".join(paragraph.split()) for paragraph in heldout_text.split("\n\n")}
    kept = []
    for name in sorted(set(names) - set(names[4::6])):
        for paragraph in corpus[name].split("\n\n"):
            key = " ".join(paragraph.split())
            if key not in seen or len(key) < 40:
                kept.append(paragraph)
                seen.add(key)
    return "\n\n".join(kept), heldout_text


def train_tokenizer(text: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE that encodes every byte and starts every text with `<s>`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([text], trainer)
    bpe.post_processor = processors.TemplateProcessing(f"{BOS} $A", special_tokens=[(BOS, 0)])
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, model_max_length=CONTEXT, model_input_names=inputs
    )


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> torch.Tensor:
    return torch.tensor(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def build_model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config)


def cut_windows(tokens: torch.Tensor) -> torch.Tensor:
    """Consecutive windows of one context that start with `<s>` (id 0); a short rest is dropped."""
    width = CONTEXT - 1
    rows = tokens[: len(tokens) // width * width].view(-1, width)
    return torch.nn.functional.pad(rows, (1, 0), value=0)


def fit(model: LlamaForCausalLM, tokens: torch.Tensor, heldout: torch.Tensor, steps: int) -> int:
    """Train in place, keep the weights with the lowest held-out loss, and return their step."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps))
    best_loss, best_step, best_weights = math.inf, 0, model.state_dict()
    for step in track(range(1, steps + 1), "training", disable=not sys.stdout.isatty()):
        starts = torch.randint(len(tokens) - CONTEXT, (BATCH,)).tolist()
        batch = torch.cat([cut_windows(tokens[start : start + CONTEXT - 1]) for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % EVAL_EVERY == 0 or step == steps:
            heldout_loss = mean_loss(model, heldout)
            print(f"step {step}: batch {loss.item():.3f} held-out {heldout_loss:.3f}", flush=True)
            if heldout_loss < best_loss:
                best_loss, best_step = heldout_loss, step
                best_weights = {name: w.clone() for name, w in model.state_dict().items()}
    model.load_state_dict(best_weights)
    return best_step


def lr_factor(step: int, steps: int) -> float:
    """Factor of the learning rate: linear warmup, then a cosine down to 2 %."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.02 + 0.49 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


@torch.no_grad()
def mean_loss(model: LlamaForCausalLM, windows: torch.Tensor) -> float:
    """Mean cross-entropy per token, in nats."""
    losses = [model(input_ids=w, labels=w).loss.item() * len(w) for w in windows.split(BATCH)]
    return sum(losses) / len(windows)


def describe(
    model: LlamaForCausalLM, steps: int, best_step: int, train_loss: float, heldout_loss: float
) -> str:
    digest = hashlib.sha256("\0".join(t for nt in sorted(topics.items()) for t in nt).encode())
    return (
        f"Tiny Llama language model of {model.num_parameters()} parameters for tests and examples; "
        "text from the Python documentation (PSF license).\n"
        f"Made by `python examples/train_tiny_lm.py --steps {steps}` on {date.today()} with Python "
        f"{platform.python_version()}; corpus `pydoc_data.topics` sha256 {digest.hexdigest()}.\n"
        f"Weights of step {best_step}: training loss {train_loss:.4f}, held-out loss "
        f"{heldout_loss:.4f} nats per token (perplexity {math.exp(heldout_loss):.2f}).\n"
    )


def write_folder(
    out: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: dict[str, str]
) -> None:
    """Write everything to a folder beside `out`, then rename that to `out`."""
    fresh = out.with_name(f".{out.name}.{os.getpid()}.new")
    stale = out.with_name(f".{out.name}.{os.getpid()}.old")
    model.save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
    for name, text in texts.items():
        (fresh / name).write_text(text, encoding="utf-8", newline="\n")
    (fresh / "model.safetensors").chmod(0o644)
    if out.exists():
        out.rename(stale)
    fresh.rename(out)
    shutil.rmtree(stale, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
