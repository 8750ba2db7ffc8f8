"""Signals belong to the server: an application that wants to handle one of the server's is told so, and goes on."""

import _signal
import os
import signal
import sys
from functools import wraps

from .log import tell

# Those that Node or Lido handle, and one that would end the process if it were not ignored.
_NAMES = "SIGHUP SIGINT SIGQUIT SIGTERM SIGUSR1 SIGUSR2 SIGTTIN SIGTTOU SIGWINCH SIGCHLD SIGPIPE SIGPROF"
_SERVERS = {getattr(signal, name): name for name in _NAMES.split() if hasattr(signal, name)}

# Places that were told of.
_told = set()


def keep(number, name):
    """Makes it one of the server's signals."""
    _SERVERS[number] = name


def keep_signals():
    """Takes the place of signal.signal(), as mod_wsgi does. What is nobody's, such as SIGALRM, stays Python's."""
    set_handler = signal.signal
    if getattr(set_handler, "keeps_signals", False):
        return

    @wraps(set_handler)
    def guarded(signalnum, handler):
        name = _SERVERS.get(signalnum)
        # In a process of its own, such as one of multiprocessing's, the application may do as it likes.
        if name is None or os.getpid() != server:
            return set_handler(signalnum, handler)
        _tell_of(name, sys._getframe(1))
        return signal.getsignal(signalnum)

    server = os.getpid()
    guarded.keeps_signals = True
    signal.signal = guarded


def hold_signals():
    """Lets none of them come to this thread; returns what let_signals_in() takes."""
    return _signal.pthread_sigmask(_signal.SIG_BLOCK, _SERVERS)


def let_signals_in(mask):
    _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)


def give_back_signals():
    """In a process that was forked off, where Python's main thread is the one that forked: all are as Python begins with them."""
    for number, name in _SERVERS.items():
        # Python ignores it, too.
        if name != "SIGPIPE":
            _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _tell_of(name, frame):
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    if place not in _told:
        _told.add(place)
        tell(f"signal.signal({name}) at {place} is ignored: the server handles this signal")
