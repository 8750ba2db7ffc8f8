"""[7] What a worker says to the main thread of the request that it runs, and when the main thread is woken for it."""

from time import perf_counter_ns

from . import failures
from .failures import ProtocolError
from .interrupts import Interruptible
from .rings import find_slot_word, pack, unpack, write_message
from .wire import (
    ANSWERS_FREED,
    AWAIT_WINDOW,
    BLOCK,
    DESK_HEADER,
    FIRST_GUESS_NS,
    HEAD,
    LONGEST_UNTOLD_NS,
    MANNER,
    MAX_BLOCK,
    MAX_HEAD,
    MAX_NS,
    MESSAGE,
    REQUESTS_WRITTEN,
    RESPONSE_WINDOW,
    SERVICE_TIME,
    STRING_BLOCK_LIMIT,
    WEIGHT,
)

_MODULO = 0xFFFFFFFF
# The main thread is told of each answer at once unless so much work waits here. Nanoseconds.
_ENOUGH_NS = 300_000


class Speaker(Interruptible):
    """What a worker has to do with what it says."""

    __slots__ = (
        *("call", "tell", "desk", "words", "requests", "answers", "meter", "service_ns", "ended", "untold"),
        *("acked", "gone", "sent", "is_posted"),
    )

    def __init__(self):
        super().__init__()
        # Lets JavaScript do what lies on the desk; wakes the main thread.
        self.call = self.tell = self.desk = None
        # There are none before there is a session: what is said until then goes by the desk.
        self.words = self.requests = self.answers = None
        self.meter = None
        self.service_ns = FIRST_GUESS_NS
        # When the last request ended, or since when this one could have begun; perf_counter_ns().
        self.ended = 0
        # Since when there is something that the main thread was not told of; 0 where there is nothing.
        self.untold = 0

    def send_head(self, head, block):
        """Sends the head and the first block. False: client gone."""
        if len(head) > MAX_HEAD:
            raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
        if len(block) > STRING_BLOCK_LIMIT:
            self.put(HEAD, head, b"")
            return self.send_block(block)
        self.sent = len(block)
        self.put_early(HEAD, head, block)
        return self.words[self.gone] != self.request

    def send_block(self, block):
        """Sends a block, a long one in pieces; returns once the window has room for each. False: client gone."""
        if len(block) <= MAX_BLOCK:
            return self.send_piece(block)
        with memoryview(block) as view:
            return all(self.send_piece(view[at : at + MAX_BLOCK]) for at in range(0, len(view), MAX_BLOCK))

    def send_piece(self, piece):
        if (self.sent - self.words[self.acked]) & _MODULO >= RESPONSE_WINDOW:
            self.ask(AWAIT_WINDOW, self.sent)
        if self.is_gone():
            return False
        self.sent = (self.sent + len(piece)) & _MODULO
        self.put(BLOCK, b"", piece)
        # What was recalled still lies in the ring, and the application may take its time for the next block.
        if self.requests.has_next():
            self.tell_in_time(perf_counter_ns())
        else:
            self.tell_now()
        return True

    def is_gone(self):
        """The client is gone, or the main thread wants no more of the answer."""
        return self.words[self.gone] == self.request

    def finish(self, kind, head, block):
        """The running request's last record."""
        if self.meter is not None:
            self.tell_manner()
        self.put(kind, head, block)
        self.count()
        self.tell_in_time(self.ended)

    def count(self):
        """Keeps the mean that the dispatcher goes by; see service-time.ts."""
        ended = perf_counter_ns()
        self.service_ns = mean = self.service_ns + (ended - self.ended - self.service_ns) * WEIGHT
        self.words[SERVICE_TIME] = int(mean) if mean < MAX_NS else MAX_NS
        self.ended = ended

    def put_early(self, kind, head, block):
        """
        A record that is mostly followed soon by the last one, with which it is told. If it is not, the main thread looks by itself
        (the dispatcher), as long as another request waits here.
        """
        self.put(kind, head, block)
        if not self.requests.has_next():
            self.tell_now()

    def put(self, kind, first, second):
        """A record about the running request for the main thread: in the ring, or where that has no room as a message: False."""
        if not self.is_posted and self.answers is not None and self.answers.put(kind, self.request, first, second):
            return True
        self.is_posted = True
        self.post(kind, first, second)
        return False

    def post(self, kind, first, second):
        desk = self.desk
        middle = DESK_HEADER + len(first)
        desk[DESK_HEADER:middle] = first
        desk[middle : middle + len(second)] = second
        pack(desk, 0, kind, self.request, len(first), len(second))
        self.call()

    def say(self, kind, *details):
        """One of the messages of protocol.ts."""
        if self.put(MESSAGE, b"", write_message(kind, self.request, *details)):
            self.tell_now()

    def ask(self, wish, number=0):
        """Lets JavaScript do something for the running request; returns what it answers."""
        # What the main thread is to do may be the answer to what it has not been told of.
        self.tell_now()
        desk = self.desk
        pack(desk, 0, wish, self.request, number, 0)
        self.call()
        return unpack(self.desk)[0]

    def fail(self, code, args, trace):
        if self.meter is not None:
            self.tell_manner()
        message, remedy = failures.fill(code, args)
        self.say("fail", {"code": code, "message": message, "remedy": remedy, "traceback": trace})
        self.count()

    def tell_manner(self):
        """Says what the request did with the GIL. Called before its last record."""
        self.words[find_slot_word(self.request, MANNER)] = self.meter.end()

    def tell_in_time(self, now):
        """
        There is something new for the main thread. To wake it costs more than to give a short answer: while there is work enough
        here that this thread does not fall asleep before it has its next request, it is woken for several answers at once. None is
        held back for longer than half of what those who still wait here have to wait, and so none where the next chance to tell of
        it would come too late. Should a request take longer than expected, the main thread looks by itself (the dispatcher).
        """
        requests = self.requests
        service_ns = self.service_ns
        waiting = ((self.words[REQUESTS_WRITTEN] - requests.read) & _MODULO) // requests.last_size
        work_ns = waiting * service_ns
        if work_ns < _ENOUGH_NS:
            self.tell_now()
            return
        if not self.untold:
            self.untold = now
        if now - self.untold + service_ns > (work_ns / 2 if work_ns < 2 * LONGEST_UNTOLD_NS else LONGEST_UNTOLD_NS):
            self.tell_now()

    def tell_now(self):
        self.untold = 0
        answers = self.answers
        # The records are counted before it is looked whether the main thread is told already, as make_waker() demands.
        answers.fence()
        if self.words[ANSWERS_FREED] != answers.written:
            self.tell()
