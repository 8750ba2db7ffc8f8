"""The event loop of a worker, and the bell by which the main thread wakes it."""

import asyncio
import os

from ..failures import LoadError


def make_loop(kind):
    """A new loop, and what to call it. `kind`: 'asyncio', 'uvloop', or 'auto' for uvloop where it can be imported. Raises LoadError."""
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError as error:
            if kind == "uvloop":
                raise LoadError("LIDO_LOOP_NOT_FOUND", error) from None
        else:
            return uvloop.new_event_loop(), f"uvloop {uvloop.__version__}"
    return asyncio.new_event_loop(), "asyncio"


def make_bell():
    """Two descriptors: the loop reads from the first, the main thread writes to the second, and each closes its own."""
    if hasattr(os, "eventfd"):
        bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return bell, os.dup(bell)
    bell, rope = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(rope, False)
    return bell, rope


def silence(bell):
    """Takes in that it has rung."""
    try:
        os.read(bell, 64)
    except BlockingIOError:
        pass


def close_loop(loop, seconds):
    """What asyncio.run() does at the end, within so many seconds."""
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending, timeout=seconds))
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), seconds))
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_default_executor(), seconds))
    except BaseException:
        # A task that cannot be ended, or a thread that does not return: neither keeps the worker from its end.
        pass
    finally:
        asyncio.set_event_loop(None)
        loop.close()
