"""Where the threads of an interpreter stand, for whoever looks from outside."""

import json
import os
import signal
import sys
from threading import get_ident

from .failures import format_stack
from .interrupts import workers
from .signals import keep

#: Names of threads that Python has none for, by their keys: see tell().
names = {}

#: Characters of one stack that are told: its end, where the thread is.
_STACK_LIMIT = 16384
#: Threads that are told of: an application that starts one for each request may have thousands.
_MAX_THREADS = 200


def tell(frames):
    """
    JSON, a list of protocol.ts's PythonThread. `frames` are the threads' frames by their keys: as text the address of the
    PyThreadState, or the identity where there is no GIL.
    """
    known = {key: worker for worker in workers.values() for key in (str(worker.state), str(worker.thread))}
    some = list(frames.items())[:_MAX_THREADS]
    return json.dumps([_describe(known.get(key), key, frame) for key, frame in some])


def collect_all():
    """The frames of all threads but this one, where the process has one interpreter and no GIL."""
    own = get_ident()
    return {str(thread): frame for thread, frame in sys._current_frames().items() if thread != own}


def _describe(worker, key, frame):
    return {
        "worker": worker.thread if worker else 0,
        "request": worker.request if worker else 0,
        "tasks": worker.describe_tasks() if worker else [],
        "name": "" if worker else name_thread(key, frame),
        "stack": "" if _waits_for_events(frame) else format_stack(frame)[-_STACK_LIMIT:],
    }


def _waits_for_events(frame):
    """An event loop is asleep: nothing of the application's is at work."""
    selectors = sys.modules.get("selectors")
    return selectors is not None and frame.f_code.co_filename == selectors.__file__


def format_task(task):
    """Where a task waits: its coroutines, from the outermost to the one that waits."""
    lines = []
    awaited = task.get_coro()
    while awaited is not None:
        frame = _find(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            lines.append(format_stack(frame))
        awaited = _find(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return "".join(lines)


def _find(awaited, *names):
    """Coroutines, generators and asynchronous generators have other names for the same."""
    for name in names:
        value = getattr(awaited, name, None)
        if value is not None:
            return value
    return None


def name_thread(key, frame):
    """'' where nobody named it. Frames know nothing of their threads, but each of threading's begins in a method of its Thread."""
    if key in names:
        return names[key]
    while frame.f_back is not None:
        frame = frame.f_back
    if frame.f_code.co_name != "_bootstrap":
        return ""
    return str(getattr(frame.f_locals.get("self"), "name", ""))


def open_dump():
    """
    Lets a signal have all stacks of this interpreter written to a file, for which nobody needs the GIL. Returns JSON:
    protocol.ts's StackDump, or null where the system lacks what that takes.
    """
    if not hasattr(os, "memfd_create") or not hasattr(signal, "SIGRTMAX"):
        return "null"
    # An interpreter with a GIL of its own cannot load these.
    import faulthandler
    import fcntl

    free = [each for each in range(signal.SIGRTMAX, signal.SIGRTMIN, -1) if signal.getsignal(each) == signal.SIG_DFL]
    if not free:
        return "null"
    fd = os.memfd_create("lido-stacks", os.MFD_CLOEXEC)
    # Whoever reads it empties it, too: what comes next is written to its beginning.
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    keep(free[0], "a signal by which Lido looks where threads stand")
    faulthandler.register(free[0], file=fd, all_threads=True, chain=False)
    return json.dumps({"signal": free[0], "fd": fd})
