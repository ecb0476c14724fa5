"""Energy: coefficients in picojoules per count with their sources, and bills computed from them."""

from hwsim.energy.bill import Bill, Line, bill
from hwsim.energy.profile import Coefficient, Profile, builtin, load, load_with_builtin

__all__ = ["Bill", "Coefficient", "Line", "Profile", "bill", "builtin", "load", "load_with_builtin"]
