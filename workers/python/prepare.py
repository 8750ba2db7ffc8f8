"""What an interpreter needs before an application is imported."""

import os

from . import failures
from .output import take_over
from .signals import keep_signals


def prepare(messages, log_fd):
    """`messages` are the catalogue of errors; `log_fd` is where a JSON log is that the application's output goes to, or None."""
    failures.messages.update(messages)
    keep_signals()
    take_over(log_fd)
    share_standard_streams()


def share_standard_streams():
    """Node closes them in programs that are started by others than itself: subprocess's would find none."""
    for fd in range(3):
        try:
            os.set_inheritable(fd, True)
        except OSError:
            # It is closed.
            pass
