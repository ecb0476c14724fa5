"""training_state: the state of an interrupted run in one safetensors file, never a pickle.

    weight.<name>  first.<name>  second.<name>   a parameter and its two AdamW moments
    metadata       {"update": completed updates, "settings": the run's settings}

The batches depend only on the seed and the update's number, so no random generator needs saving.
The file is replaced atomically: it is complete, or it is the previous one.
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
    """The folder with the state of the run that will write folder `out`."""
    return out.with_name(f"{out.name}.partial")


def check_partial(folder: Path, model: Path) -> None:
    """Raise `OutputError` if `folder` cannot hold a run's state; model: the checkpoint's folder."""
    if folder.exists() and (not folder.is_dir() or folder.samefile(model)):
        what = "the model to train" if folder.is_dir() else "not a folder"
        raise OutputError(
            f"{folder}: is {what}, but the run's state belongs there", "choose another -o"
        )


def remove_state(folder: Path) -> None:
    """Remove a run's state, and its folder if nothing else is in it."""
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
    """Write the whole state or nothing.

    On a full disk it raises `OutputError` and leaves the previous state in place.
    """
    tensors: dict[str, Torch] = {}
    for name, parameter in parameters.items():
        tensors[f"weight.{name}"] = parameter.detach().cpu().clone().contiguous()
        for part, word in MOMENTS.items():
            moment = optimizer.state.get(parameter, {}).get(word)
            if moment is not None:
                tensors[f"{part}.{name}"] = moment.detach().cpu().clone().contiguous()
    fresh = folder / f"{FILE}.new"
    metadata = {"update": str(update), "settings": json.dumps(settings, sort_keys=True)}
    try:
        folder.mkdir(exist_ok=True)
        save_file(tensors, fresh, metadata)
        sync(fresh)
        fresh.replace(folder / FILE)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as its own error
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
            folder.rmdir()  # fails, and stays, if it holds an earlier state
        raise OutputError(
            f"{folder / FILE}: cannot be written ({error!s:.100})",
            "free some space and run it again: it continues from the last saved state",
        ) from error


def load_state(
    folder: Path,
    parameters: Parameters,
    optimizer: torch.optim.AdamW,
    settings: Mapping[str, Any],
) -> int:
    """Restore parameters and optimizer; returns the completed updates, 0 if there is no state.

    Raises `ConfigError` if the state is of a run with other settings, `CheckpointError` if the
    file is not a state.
    """
    path = folder / FILE
    if not path.exists():
        return 0
    remedy = f"remove {folder} to start over"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            _check_same(folder, json.loads(metadata["settings"]), dict(settings))
            update = int(metadata["update"])
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
    except Exception as error:  # safetensors raises errors without a class of their own
        raise CheckpointError(
            f"{path}: not a state of this run ({error!s:.100})", remedy
        ) from error
    return update


def _fill(parameter: nn.Parameter, saved: Torch) -> None:
    if saved.shape != parameter.shape:
        raise ValueError(f"a parameter is {list(saved.shape)}, not {list(parameter.shape)}")
    with torch.no_grad():
        parameter.copy_(saved)


def _check_same(folder: Path, saved: dict[str, Any], requested: dict[str, Any]) -> None:
    differing = [name for name in requested if saved.get(name) != requested[name]]
    if differing:
        name = differing[0]
        raise ConfigError(
            f"{folder}: holds an interrupted run whose {name} was {saved.get(name)!r}, "
            f"not {requested[name]!r}",
            "give the same options to continue it, or remove that folder to start over",
        )
