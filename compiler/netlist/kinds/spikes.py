"""The meaning of a kind's spikes: their payloads, and the code whose digits they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compiler.netlist.kinds.params import Params
from las_neuro.integers import WORD_BITS, Ints


@dataclass(frozen=True)
class SpikeCode:
    """The code of a window's spikes: spike k counts its payload times 2**positions[k].

    widths: number of binary digits in each spike.  Both are () for a graded value, sent once; only
    widths is () where all spikes have equal weight.
    """

    positions: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()


def _always(p: Params) -> bool:
    return True


def never(p: Params) -> bool:
    return False


def _whole_word(p: Params) -> int:
    return WORD_BITS


def _graded_value(p: Params, sends: int) -> SpikeCode:
    return SpikeCode()


def bits_from_the_top(p: Params, sends: int) -> SpikeCode:
    """The code of a number's bits, the highest first."""
    return SpikeCode(tuple(range(sends - 1, -1, -1)), (1,) * sends if sends > 1 else ())


def _one(p: Params) -> int:
    return 1


@dataclass(frozen=True)
class Spikes:
    """Properties of spikes, as functions of a population's parameters.

    graded: whether spikes carry a value; else they are binary.
    payload_bits: bits of the largest payload of a graded spike, including its sign.
    code(params, sends): code of the spikes sent in a window.
    unit_payload: largest |payload| of digit 1, one number or [n].
    volley: largest |sum| of all spikes of a window, in units of `unit_payload`; None where spikes
    have different weights.
    grain: payload 1 in units of the rescaled input, as a fraction (above, below); None where the
    input is not rescaled or the population's unit gives it.
    """

    graded: Callable[[Params], bool] = _always
    payload_bits: Callable[[Params], int] = _whole_word
    code: Callable[[Params, int], SpikeCode] = _graded_value
    unit_payload: Callable[[Params], int | Ints] = _one
    volley: Callable[[Params], int] | None = None
    grain: Callable[[Params], tuple[Any, Any]] | None = None


def signed_width(magnitude: int) -> int:
    """Bits of a two's complement word that holds +-magnitude."""
    return magnitude.bit_length() + 1
