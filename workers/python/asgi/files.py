"""[6] http.response.pathsend: a file that is named is sent by the main thread, however slow its client is."""

import os
import stat

from ..failures import ClientGone, ProtocolError, show
from ..head import declare_length
from ..wire import FILE_REFUSED, SMALL_FILE
from .states import SENDING, STARTED


async def send_file(cycle, path):
    """The rest of the answer is this file. Raises what open() raises."""
    await _send(cycle, path)
    cycle.finish()


async def _send(cycle, path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ProtocolError("LIDO_ASGI_MESSAGE", f"http.response.pathsend of {show(path)}", "that is no regular file")
        if cycle.state == STARTED:
            cycle.head = declare_length(cycle.head, found.st_size)
            if found.st_size >= SMALL_FILE and await _leave(cycle, fd, found.st_size):
                return
            cycle.begin(b"")
        await _send_blocks(cycle, fd)
    finally:
        os.close(fd)


async def _leave(cycle, fd, size):
    """False where the main thread cannot open it."""
    worker = cycle.worker
    cycle.state = SENDING
    cycle.outbox.say("file", cycle.request, cycle.head.decode("latin-1"), fd, 0, size)
    await cycle.wait_until(lambda: worker.read_acked(cycle.request) != 0)
    if cycle.gone:
        raise ClientGone("the client is gone")
    if worker.read_acked(cycle.request) != FILE_REFUSED:
        return True
    worker.forget_acked(cycle.request)
    return False


async def _send_blocks(cycle, fd):
    block = os.read(fd, SMALL_FILE)
    while block:
        await cycle.send_block(block)
        block = os.read(fd, SMALL_FILE)
