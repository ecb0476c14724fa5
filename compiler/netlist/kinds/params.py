"""The parameters of populations: a kind's declarations, and a population's values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from las_neuro.integers import WORD_BITS, WORD_LIMIT

Params = Mapping[str, Any]  # name -> int, tuple of int, or int64 array, as Param.per says


@dataclass(frozen=True)
class Param:
    """One parameter: the bits of a value, whether it is signed, and how many values there are.

    per: population   one integer for all compartments
         step         a tuple of integers, one for each step of the population
         compartment  an int64 array, one for each compartment, or of length 1: one for all
         table        an int64 array that all compartments of a core look values up in
    chip: whether compartments use it; other parameters tell readers of a netlist what its payloads
    stand for, and may be missing.
    """

    bits: int
    signed: bool = False
    per: Literal["population", "step", "compartment", "table"] = "population"
    chip: bool = True

    @property
    def range(self) -> tuple[int, int]:
        """Least and largest value allowed; of a whole word, -WORD_LIMIT and WORD_LIMIT."""
        if self.bits == WORD_BITS:
            most = WORD_LIMIT
        else:
            most = 2 ** (self.bits - 1) if self.signed else 2**self.bits - 1
        return (-most if self.signed else 0), most
