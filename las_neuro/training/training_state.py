"""training_state: an interrupted run, kept as one safetensors file, never as a pickle.

    weight.<name>  first.<name>  second.<name>   a parameter and AdamW's two moments of it
    metadata       {"update": updates made, "settings": what the run was asked for}

The batches depend on the seed and the update's number alone, so that number is the whole state of
the random generator.  The file is replaced in one step: it is whole, or it is the one before.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor as Torch
from torch import nn

from las_neuro.errors import CheckpointError, ConfigError, OutputError
from las_neuro.files import sync

FILE = "state.safetensors"
MOMENTS = {"first": "exp_avg", "second": "exp_avg_sq"}

Parameters = Mapping[str, nn.Parameter]


def partial_folder(out: Path) -> Path:
    """Where the state of the run that is to write folder `out` is kept."""
    return out.with_name(f"{out.name}.partial")


def check_partial(folder: Path, model: Path) -> None:
    """Raise `OutputError` where `folder` cannot hold a run's state; model: its checkpoint's."""
    if folder.exists() and (not folder.is_dir() or folder.samefile(model)):
        what = "the model to train" if folder.is_dir() else "no folder"
        raise OutputError(f"{folder}: is {what}; the run's state is kept there", "name another -o")


def remove_state(folder: Path) -> None:
    """Remove a run's state, and its folder if nothing else lies there."""
    for path in (folder / FILE, folder / f"{FILE}.new"):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def save_state(
    folder: Path,
    parameters: Parameters,
    optimizer: torch.optim.AdamW,
    update: int,
    settings: Mapping[str, Any],
) -> None:
    """Write the state whole or not at all; `OutputError` on a full disk, the last state kept."""
    tensors: dict[str, Torch] = {}
    for name, parameter in parameters.items():
        tensors[f"weight.{name}"] = parameter.detach().cpu().clone().contiguous()
        for part, word in MOMENTS.items():
            moment = optimizer.state.get(parameter, {}).get(word)
            if moment is not None:
                tensors[f"{part}.{name}"] = moment.detach().cpu().clone().contiguous()
    fresh = folder / f"{FILE}.new"
    said = {"update": str(update), "settings": json.dumps(settings, sort_keys=True)}
    try:
        folder.mkdir(exist_ok=True)
        save_file(tensors, fresh, said)
        sync(fresh)
        fresh.replace(folder / FILE)
    except (OSError, SafetensorError) as error:  # the latter stands for a full disk, too
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
            folder.rmdir()  # where it holds no earlier state
        raise OutputError(
            f"{folder / FILE}: cannot be written ({error!s:.100})",
            "free some space, and run it again: it goes on from the last state it saved",
        ) from error


def load_state(
    folder: Path,
    parameters: Parameters,
    optimizer: torch.optim.AdamW,
    settings: Mapping[str, Any],
) -> int:
    """Put everything back; returns the updates already made, 0 where there is no state."""
    path = folder / FILE
    if not path.exists():
        return 0
    remedy = f"remove {folder} to start afresh"
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
            _check_same(folder, json.loads(said["settings"]), dict(settings))
            update = int(said["update"])
            names = set(file.keys())
            for name, parameter in parameters.items():
                _fill(parameter, file.get_tensor(f"weight.{name}"))
                if f"first.{name}" in names:
                    optimizer.state[parameter] = {
                        "step": torch.tensor(float(update)),
                        **{
                            w: file.get_tensor(f"{p}.{name}").to(parameter.device)
                            for p, w in MOMENTS.items()
                        },
                    }
    except ConfigError:
        raise
    except Exception as error:  # the safetensors library raises bare ones of its own
        raise CheckpointError(
            f"{path}: not a state of this run ({error!s:.100})", remedy
        ) from error
    return update


def _fill(parameter: nn.Parameter, saved: Torch) -> None:
    if saved.shape != parameter.shape:
        raise ValueError(f"a parameter is {list(saved.shape)}, not {list(parameter.shape)}")
    with torch.no_grad():
        parameter.copy_(saved)


def _check_same(folder: Path, was: dict[str, Any], asked: dict[str, Any]) -> None:
    differing = [name for name in asked if was.get(name) != asked[name]]
    if differing:
        name = differing[0]
        raise ConfigError(
            f"{folder}: holds an interrupted run whose {name} was {was.get(name)!r}, "
            f"not {asked[name]!r}",
            "give the same options to go on with it, or remove that folder to start afresh",
        )
