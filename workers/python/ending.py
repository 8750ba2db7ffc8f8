"""The end of an interpreter: its threads may finish, and what was registered to be done at the end is done."""

import _thread
import atexit
import os
import sys
import threading
from time import sleep

from .interrupts import workers
from .output import write_rest

# What the applications of loops that still run have for their end, where nobody has told these of it. Seconds.
_LOOPS_END = 1


def end():
    """The first steps of Py_FinalizeEx(), in its order. The interpreter itself stays: the process ends."""
    steps = (_end_loops, threading._shutdown, atexit._run_exitfuncs, write_rest, sys.stdout.flush, sys.stderr.flush)
    for step in steps:
        try:
            step()
        # What a handler raised was told by atexit; a stream may be closed.
        except BaseException:
            pass


def _end_loops():
    """A thread that is in its loop would be waited for, and knows of nothing."""
    running = [worker for worker in workers.values() if hasattr(worker, "end_from_elsewhere")]
    for worker in running:
        worker.end_from_elsewhere(_LOOPS_END)
    for worker in running:
        worker.left.wait(_LOOPS_END + 0.5)


def end_within(seconds, status):
    """The same, but a handler or a thread that has no end does not keep the process from it."""
    _thread.start_new_thread(_leave, (seconds, status))
    end()


def _leave(seconds, status):
    sleep(seconds)
    os._exit(status)
