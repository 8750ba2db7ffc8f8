"""[6] How a worker wakes the main thread: by a byte into a pipe. A call into JavaScript would find all of that cold."""

import os

# By name: what an application puts in its place (gevent and eventlet do) would wait in a loop of theirs.
from os import write


def make_pipe():
    """The two ends, as the main thread gets them. Neither ever blocks, and both last as long as the process."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def make_waker(told, end):
    """
    What a worker calls once it has put something into its ring of answers, with a fence in between. `told` is one word for all
    workers: 1 from when one of them wakes the main thread until that has heard it. It stores 0 before it reads each worker's
    ANSWERS_WRITTEN, and the worker stores ANSWERS_WRITTEN before it reads `told`. So who finds 1 here need not do anything, and it
    is 1 only where the main thread will hear of it: it would hear of no worker any more.
    """

    def wake():
        if not told[0]:
            # What ends a thread's code from outside comes between any two steps of it.
            try:
                told[0] = 1
                write(end, b"\0")
            except BaseException:
                told[0] = 0
                raise

    return wake
