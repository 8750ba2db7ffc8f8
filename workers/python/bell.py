"""[6] How a worker sleeps between two requests without leaving Python, and how long it then waited for the GIL.

To leave Python, sleep in JavaScript, and enter Python again took 30 microseconds more, for V8 and Python push each other out of the
processor's caches. But a thread that sleeps here is in Python, and process.exit() waits for it. So one to which nothing has
come for a while leaves, and sleeps outside (calls.ts).
"""

# The C module: it is small, and nothing that an application puts in the place of socket's or os's functions is for this.
from _socket import SO_RCVTIMEO, SOL_SOCKET, socketpair
from os import read
from struct import pack
from time import perf_counter_ns

from .meter import count_sleeps, is_gil_free, sleeps_since
from .wire import ASKED, AT_BELL, CLOSING, FOUND_FREE, GIL_WAIT, HEARD, REQUESTS_WRITTEN, RUNG, SLEEPING

#: How long it sleeps here, in microseconds.
_LONGEST_SLEEP = 250_000
_MODULO = 0xFFFFFFFF


def make_bell():
    """
    Two descriptors: the worker reads from the first, the main thread writes to the second, and each closes its own. The main thread
    waits for nobody: a rope that takes no more has rung already. socket.setdefaulttimeout() is not for these.
    """
    bell, rope = socketpair()
    bell.setblocking(True)
    rope.setblocking(False)
    bell.setsockopt(SOL_SOCKET, SO_RCVTIMEO, pack("ll", 0, _LONGEST_SLEEP))
    return bell.detach(), rope.detach()


class Sleeper:
    """Lets one worker sleep."""

    def __init__(self, words, fence, bell):
        self.words = words
        self.fence = fence
        self.bell = bell

    def sleep(self, seen):
        """
        Waits until it is rung, and looks for more in the ring of requests than was `seen`: True. False where nothing has come for a
        while, or the session is to end. SLEEPING is stored before the words are looked at, as protocol.ts demands.
        """
        words = self.words
        rung = b""
        slept = 0
        words[SLEEPING] = AT_BELL
        self.fence()
        if words[REQUESTS_WRITTEN] == seen and words[HEARD] == words[ASKED] and not words[CLOSING]:
            before = count_sleeps()
            try:
                # More than one byte where it was rung for what had been seen without that; none once the rope is gone.
                rung = read(self.bell, 16)
                slept = sleeps_since(before)
            except BlockingIOError:
                pass
        words[SLEEPING] = 0
        if self.give_sign():
            return True
        if words[REQUESTS_WRITTEN] == seen:
            # It may have been rung for what was answered long ago: that is no reason to leave.
            return rung != b""
        # A thread that slept no more than once had the GIL at once; otherwise it waited for that since it was woken.
        if slept > 1:
            microseconds = (perf_counter_ns() // 1000 - words[RUNG]) & _MODULO
            words[GIL_WAIT] = (words[GIL_WAIT] + microseconds) & _MODULO
        return True

    def give_sign(self):
        """Says that it has had the GIL, and whether that is free, where it was asked to: True."""
        words = self.words
        asked = words[ASKED]
        if words[HEARD] == asked:
            return False
        if is_gil_free():
            words[FOUND_FREE] = asked
        words[HEARD] = asked
        return True
