"""The child process that runs Lava, and the parent's supervision of it.

An exception in one of Lava's models leaves all others waiting forever.  So Lava runs in a process
group of its own: a model that fails writes its error to a file, and the parent ends the whole group
as soon as it finds such a file, or after the time-out.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import warnings
from multiprocessing.context import ForkProcess
from types import FrameType

from hwsim.backends.lava.files import BUG, read_failure, write_failure
from hwsim.backends.lava.plan import SLOTS, Job
from las_neuro.errors import BackendError

GRACE = 2.0  # seconds for the group to end when asked
LOG = "lava.log"


def watch(job: Job, timeout: float) -> None:
    """Run a job in Lava; raises `BackendError` if it fails or takes more than `timeout` seconds."""
    child = multiprocessing.get_context("fork").Process(target=_main, args=(job, timeout))
    child.start()
    try:
        _wait(child, job, timeout)
    finally:
        _end(child)


def _wait(child: ForkProcess, job: Job, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        child.join(0.05)
        if failure := read_failure(job.folder):
            raise failure.error() from RuntimeError(failure.trace)
        if child.exitcode == 0:
            return
        if child.exitcode is not None:
            log = (job.folder / LOG).read_text("utf-8", errors="replace").strip()
            raise BackendError(
                f"Lava ended with exit code {child.exitcode}: {log.splitlines()[-1:]}", BUG
            )
        if time.monotonic() > deadline:
            raise BackendError(
                f"Lava did not finish {job.tokens} tokens in {timeout:g} s ({job.mode})",
                "allow more time, give fewer tokens, or use mode='fused' or the stepper",
            )


def _end(child: ForkProcess) -> None:
    """End the process group, first by SIGTERM.

    Python's resource tracker ignores SIGTERM, and frees shared memory once the others have ended.
    """
    assert child.pid is not None
    if child.exitcode == 0:  # all others have ended, except the tracker, which ends by itself
        child.close()
        return
    for order in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, order)
        if child.is_alive() and order == signal.SIGKILL:
            child.kill()
        deadline = time.monotonic() + GRACE
        while _lives(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        if not _lives(child):
            break
    child.join()
    child.close()


def _lives(child: ForkProcess) -> bool:
    """Whether any process of the group is alive; also reaps the child."""
    assert child.pid is not None
    if child.is_alive():
        return True
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _main(job: Job, timeout: float) -> None:
    """The child process, in a group and with a log of its own.

    Python's start method is unset, because Lava sets it on import.
    """
    os.setsid()
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, timeout + 2 * GRACE)  # if the parent is gone by then
    log = os.open(job.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    sys.stdout = sys.stderr = open(log, "w", encoding="utf-8", buffering=1)
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    _allow_files()
    if "lava.magma" not in sys.modules:
        multiprocessing.set_start_method(None, force=True)
    try:
        _run(job)
    except Exception as error:
        write_failure(job.folder, "Lava", error)
        raise


def _run(job: Job) -> None:
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from hwsim.backends.lava import processes

    models = processes.fine(job) if job.mode == "fine" else processes.fused(job)
    # Models are named explicitly: Lava's search for models would import every file in the folder.
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    steps = job.tokens * job.net.period
    first = next(iter(models))
    first.run(
        condition=RunSteps(num_steps=steps),
        run_cfg=config,
        compile_config={"pypy_channel_size": SLOTS},
    )
    first.stop()


def _allow_files() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _give_up(number: int, frame: FrameType | None) -> None:
    os.killpg(0, signal.SIGKILL)
