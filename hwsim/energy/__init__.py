"""Joules per count: sourced coefficients and the bills they give."""

from hwsim.energy.bill import Bill, Line, bill
from hwsim.energy.profile import Coefficient, Profile, builtin, load

__all__ = ["Bill", "Coefficient", "Line", "Profile", "bill", "builtin", "load"]
