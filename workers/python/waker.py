"""[6] How a worker wakes the main thread: by a byte into a pipe. A call into JavaScript would find all of that cold."""

import os

# By name: what an application puts in its place (gevent and eventlet do) would wait in a loop of theirs.
from os import write

from .wire import TOLD


def make_pipe():
    """The two ends, as the main thread gets them. Neither ever blocks, and both last as long as the process."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def make_waker(words, end):
    """
    What a worker calls once it has put something into its ring of answers, and TOLD is 0. It is 1 then until the main thread
    looks: that stores 0 before it reads ANSWERS_WRITTEN, and the worker stores ANSWERS_WRITTEN before it reads TOLD.
    """

    def wake():
        words[TOLD] = 1
        write(end, b"\0")

    return wake
