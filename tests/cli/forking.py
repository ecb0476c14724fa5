"""A process that has imported everything once and forks a child for each command it is given.

A command's own start takes a second or two, most of it imports; a fork of this takes none.  The
child runs the installed entry point with arguments, folder and output of its own, and ends as it
would.  One line of JSON comes in for each command, its exit code goes out.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any, NoReturn

PRELOADED = (
    "compiler.commands.las_compile",
    "compiler.pipeline",
    "compiler.mapping.plan",
    "compiler.netlist.hdf5",
    "hwsim.accounts",
    "hwsim.accounts.contents",
    "hwsim.commands.las_audit",
    "hwsim.commands.las_diff",
    "hwsim.commands.las_eval_compare",
    "hwsim.commands.las_inspect",
    "hwsim.commands.las_run",
    "hwsim.measure.account",
    "hwsim.measure.continuation",
    "hwsim.backends.fast.engine",
    "hwsim.measure.evaluate",
    "hwsim.backends.lava",
    "las_neuro.calibration.ranges",
    "las_neuro.reference.interpret",
    "las_neuro.reference.model",
    "las_neuro.reference.tokenizer",
)


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def run(job: dict[str, Any]) -> NoReturn:
    code: Any = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in ((1, job["out"]), (2, job["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
        os.chdir(job["cwd"])
        sys.argv = job["argv"]
        module, function = job["entry"].split(":")
        getattr(importlib.import_module(module), function)()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
