"""The netlist as text, one line a thing and the name first, so that `diff` is the debugger."""

from compiler.netlist.model import Dense, Gather, Netlist, Pattern, Population, Synapses


def text(net: Netlist) -> str:
    """Phases, populations and synapse groups in schedule order."""
    lines = [f"phase  {i}  steps {a}..{b - 1}" for i, (a, b) in enumerate(net.phases)]
    lines += [_population(population) for population in net.populations.values()]
    lines += [_group(net, group) for group in net.synapses]
    return "\n".join(lines) + "\n"


def _population(population: Population) -> str:
    axes = " ".join(f"{axis}={size}" for axis, size in population.axes.items())
    plain = {key: value for key, value in population.params.items() if isinstance(value, int)}
    params = " ".join(f"{key}={value}" for key, value in plain.items())
    steps = f"{population.steps[0]}..{population.steps[-1]}" if population.steps else "unscheduled"
    return (
        f"population  {population.name}  {population.kind}  [{axes}] n={population.n}"
        f"  steps={steps} ({len(population.steps)})  unit={population.unit:.6g}  {params}"
    ).rstrip()


def _group(net: Netlist, group: Synapses) -> str:
    form = group.form
    if isinstance(form, Dense):
        shape = f"int{form.bits}[{form.weights.shape[0]}, {form.weights.shape[1]}]"
    elif isinstance(form, Pattern):
        shape = f"pattern {form}"
    else:
        assert isinstance(form, Gather)
        shape = f"gather[{len(form.index)}]"
    return f"synapses  {group.name}  {shape}{'  feedback' if group.feedback else ''}"
