"""faults: the error that every check of a netlist raises."""

from las_neuro.errors import NetlistError

REMEDY = "compile the model again (las-compile); if the fault stays, report it"


def need(holds: object, where: str, fault: str) -> None:
    """Raise NetlistError unless `holds`; `where`: the part of the netlist."""
    if not holds:
        raise NetlistError(f"{where}: {fault}", REMEDY)
