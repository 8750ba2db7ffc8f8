"""The end of an interpreter: its threads may finish, and what was registered to be done at the end is done."""

import _thread
import atexit
import os
import sys
import threading
from time import sleep


def end():
    """The first steps of Py_FinalizeEx(), in its order. The interpreter itself stays: the process ends."""
    for step in (threading._shutdown, atexit._run_exitfuncs, sys.stdout.flush, sys.stderr.flush):
        try:
            step()
        # What a handler raised was told by atexit; a stream may be closed.
        except BaseException:
            pass


def end_within(seconds, status):
    """The same, but a handler or a thread that has no end does not keep the process from it."""
    _thread.start_new_thread(_leave, (seconds, status))
    end()


def _leave(seconds, status):
    sleep(seconds)
    os._exit(status)
