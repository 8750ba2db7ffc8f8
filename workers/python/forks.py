"""[6] What the application forks off has nothing of the server's: a signal means what it does in any Python, and no answer comes from there."""

import os
import sys
from threading import get_ident, local

from .failures import LoadError, format_error
from .interrupts import workers
from .log import voices
from .output import forget_others, write_rest
from .signals import give_back_signals, hold_signals, let_signals_in

# The signals that threads in the midst of a fork had blocked before, by their identities.
_masks = {}
_registered = []
# What goes with its thread.
_thread = local()


def part_from_forks():
    """Once in each interpreter."""
    if not _registered and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_prepare, after_in_parent=_go_on, after_in_child=_part)
        _registered.append(_part)


def _prepare():
    _masks[get_ident()] = hold_signals()


def _go_on():
    let_signals_in(_masks.pop(get_ident()))


def _part():
    """
    Node's handlers write into pipes that its parent has, too: the server would end in the place of a child that is told to. Of
    threads there is this one alone, so what comes back from the application ends here: V8 has none of the threads that it needs,
    not even to end.
    """
    give_back_signals()
    _go_on()
    worker = workers.get(get_ident())
    workers.clear()
    voices.clear()
    forget_others()
    if worker is not None:
        worker.part_from_fork(end)
    else:
        _thread.end = _EndOfThread()


class _EndOfThread:
    """A thread of the application's own takes the process along; Python has told what it raised."""

    def __init__(self):
        self.process = os.getpid()

    def __del__(self):
        # What such a process forks off itself, as a daemon is made, gets one of its own: this one goes without a word there.
        if os.getpid() == self.process:
            _leave(0)


def end_if_child(parent):
    """For what may be a process that the application forked off from `parent`."""
    if os.getpid() != parent:
        end()


def end():
    """Ends the process as Python does, with what was raised or without."""
    error = sys.exc_info()[1]
    if isinstance(error, LoadError):
        error = error.__context__
    status = 0 if error is None else 1
    if not isinstance(error, SystemExit):
        sys.stderr.write(format_error(error) if error else "")
    elif isinstance(error.code, int):
        status = error.code & 0xFF
    elif error.code is None:
        status = 0
    else:
        print(error.code, file=sys.stderr)
    _leave(status)


def _leave(status):
    write_rest()
    sys.stdout.flush()
    os._exit(status)
