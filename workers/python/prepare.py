"""What an interpreter needs before an application is imported."""

import os
from importlib.machinery import BYTECODE_SUFFIXES, SourceFileLoader
from time import time

# Before an application puts others in the place of what they take from the standard library: eventlet does with os.read().
from . import bell, failures, meter, rings, waker
from .forks import part_from_forks
from .output import take_over
from .signals import keep_signals


def prepare(messages, log_fd):
    """`messages` are the catalogue of errors; `log_fd` is where a JSON log is that the application's output goes to, or None."""
    failures.messages.update(messages)
    keep_signals()
    part_from_forks()
    take_over(log_fd)
    share_standard_streams()
    keep_no_fresh_bytecode()


def share_standard_streams():
    """Node closes them in programs that are started by others than itself: subprocess's would find none."""
    for fd in range(3):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            # It is closed.
            pass


#: A source that is older will not be saved again in its second. Seconds.
_FRESH = 2
#: One that is ahead by so much was not saved now by a clock that is ahead: an archive from another time zone brought it. Seconds.
_AHEAD = 600


def keep_no_fresh_bytecode():
    """
    Python knows the compiled code of a module by the second in which its source was saved, and the source's size. Who saves twice
    within a second would get the first one's code, for ever: what was saved a moment ago is not kept. CPython's issue 75953.
    """
    keep = SourceFileLoader.set_data
    if keep.__module__ == __name__:
        return

    def set_data(self, path, data, **options):
        if not path.endswith(tuple(BYTECODE_SUFFIXES)) or not _is_fresh(data):
            keep(self, path, data, **options)

    SourceFileLoader.set_data = set_data


def _is_fresh(bytecode):
    """PEP 552: flags that are 0, then the time of the source. What is told apart by a hash of its source never is."""
    if bytecode[4:8] != bytes(4):
        return False
    age = time() - int.from_bytes(bytecode[8:12], "little")
    return -_AHEAD < age <= _FRESH
