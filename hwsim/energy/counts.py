"""counts: the counts of a run that cost energy, by the names under which profiles price them.

The audit gives these counts (hwsim/accounts/tally.py, and traffic.py with a placement); an audit
page adds up the energy of all counts that belong to one part.
"""

from __future__ import annotations

STATIC_POWER = "static_power"  # charged per chip and second: not a count, but a line of a bill

EVENTS = "synaptic events"
WRITES = "written synapses"
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
    "synapse_write": WRITES,  # one for each slice of a written number
    "update_active": ACTIVE,
    "update_idle": IDLE,
    "state_read": STATE,
    "state_write": STATE,
    "add": ARITHMETIC,  # this and the next four: inside compartments, from Kind.work
    "multiply": ARITHMETIC,
    "compare": ARITHMETIC,
    "shift": ARITHMETIC,
    "lookup": STATE,
    "message": MESH,  # this and the rest: measured traffic of the placement
    "hop_east_west": MESH,
    "hop_north_south": MESH,
    "chip_crossing": MESH,
}
