"""faults: how an inconsistent netlist is refused, whoever finds the fault."""

from las_neuro.errors import NetlistError

REMEDY = "compile the model again (las-compile); if the fault stays, report it"


def need(holds: object, where: str, fault: str) -> None:
    """Raise NetlistError, naming the part of the netlist, unless `holds`."""
    if not holds:
        raise NetlistError(f"{where}: {fault}", REMEDY)
