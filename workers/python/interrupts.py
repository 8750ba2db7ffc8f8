"""Ends a request that runs too long: LidoTimeout is raised in its thread, while its application's own code runs.

Two threads take part. The worker says in `interruptible` which request's application runs right now, 0 while the
gateway itself does. The host says in `interrupting` that it is about to raise. Each writes its own word before it reads
the other's, so either the host sees that the application has returned and raises nothing, or the worker sees the host
and waits until the exception has arrived: it never hits the gateway, nor the next request. This holds without a GIL, too.
"""

import sys
import threading
from functools import partial

# By name: what an application puts in its place (eventlet does) is not the identity of a thread.
from threading import get_ident

from .failures import LidoTimeout, explain, format_stack

#: Workers by the identity of their thread.
workers = {}

_LONGEST_WAIT = 10


class Interruptible:
    """What a worker has to do with its interruption."""

    __slots__ = ("thread", "state", "request", "interruptible", "interrupting", "timed_out", "settled")

    def __init__(self):
        self.thread = get_ident()
        # The address of its PyThreadState.
        self.state = 0
        # The request that runs, 0 while idle.
        self.request = 0
        # The same, but only while the application's own code runs.
        self.interruptible = 0
        self.interrupting = False
        # The request that was told to stop.
        self.timed_out = 0
        # Set unless the host is between its two words.
        self.settled = threading.Event()
        self.settled.set()

    def describe_tasks(self):
        """It has none beside what its thread is at."""
        return []

    def absorb_interrupt(self):
        """Waits until an exception that was raised for this request has arrived. Called with `interruptible` 0."""
        try:
            self.settled.wait(_LONGEST_WAIT)
            # Each turn of a loop looks for pending exceptions.
            for _ in range(100):
                pass
        except LidoTimeout:
            pass
        self.interrupting = False

    def interrupt(self, request, frame, raise_timeout):
        """Called by the host. Returns the stack of the application that runs this request, or '' when none does."""
        if self.request != request:
            return ""
        stack = format_stack(frame)
        self.settled.clear()
        self.timed_out = request
        self.interrupting = True
        if self.interruptible == request:
            raise_timeout()
        self.settled.set()
        return stack


def find_frame(thread):
    """What this thread is at, where the process has one interpreter: Python makes frames for those of all others, too."""
    return sys._current_frames().get(thread)


def refuse_all_frames():
    """For an interpreter with a GIL of its own: these reach into the others, whose memory they corrupt while those run."""
    for name in ("_current_frames", "_current_exceptions"):
        setattr(sys, name, partial(_refuse, name))


def _refuse(name):
    raise RuntimeError(explain("LIDO_FRAMES_OF_OTHERS", name))


def interrupt(thread, request, raise_timeout, frame_of):
    """Called by the host; see the worker's own interrupt()."""
    worker = workers.get(thread)
    frame = None if worker is None else frame_of(thread)
    return "" if frame is None else worker.interrupt(request, frame, raise_timeout)
