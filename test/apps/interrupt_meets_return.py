"""Run by itself: the host raises only after the application has returned, the one order that timing seldom brings."""

import ctypes
import sys
import threading
import types

package = types.ModuleType("_lido")
package.__path__ = [sys.argv[1]]
sys.modules["_lido"] = package

from _lido.failures import LidoTimeout  # noqa: E402
from _lido.interrupts import Interruptible, find_frame, interrupt, workers  # noqa: E402

started, raising, returned, next_began, raised = (threading.Event() for _ in range(5))
result = []


def work():
    worker = Interruptible()
    workers[worker.thread] = worker
    worker.request = worker.interruptible = 1
    started.set()
    raising.wait()
    # The host has seen the application run; now it returns.
    try:
        worker.interruptible = 0
        returned.set()
        if worker.interrupting:
            worker.absorb_interrupt()
    except LidoTimeout:
        pass
    worker.request = worker.interruptible = 2
    next_began.set()
    try:
        raised.wait()
        for _ in range(1000):
            pass
        result.append("the next request was left alone")
    except LidoTimeout:
        result.append("the next request was hit")


def raise_late():
    raising.set()
    returned.wait()
    # A worker that does not wait for the host begins its next request meanwhile; one that does, cannot.
    next_began.wait(0.2)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(LidoTimeout))
    raised.set()


thread = threading.Thread(target=work)
thread.start()
started.wait()
interrupt(thread.ident, 1, raise_late, find_frame)
thread.join()
print(result[0])
