"""counts: what a run can count that costs energy, by the names that profiles price.

The audit gives these counts (hwsim/accounts/tally.py, and traffic.py with a placement); a page adds
up the energy of all counts of one part.
"""

from __future__ import annotations

STATIC_POWER = "static_power"  # of a chip and second: no count, but a line of a bill

EVENTS = "synaptic events"
ACTIVE = "active updates"
ARITHMETIC = "arithmetic in compartments"
STATE = "state and tables"
MESH = "mesh"
STATIC = "static power"
IDLE = "idle updates"

PARTS: dict[str, str] = {  # count -> part of the energy
    "synaptic_event": EVENTS,  # every event, whatever its payload
    "event_add": EVENTS,  # of binary spikes
    "event_multiply": EVENTS,  # of graded spikes
    "update_active": ACTIVE,
    "update_idle": IDLE,
    "state_read": STATE,
    "state_write": STATE,
    "add": ARITHMETIC,  # inside compartments, from Kind.work, as the next four
    "multiply": ARITHMETIC,
    "compare": ARITHMETIC,
    "shift": ARITHMETIC,
    "lookup": STATE,
    "message": MESH,  # from the measured traffic of the placement, as the rest
    "hop_east_west": MESH,
    "hop_north_south": MESH,
    "chip_crossing": MESH,
}
