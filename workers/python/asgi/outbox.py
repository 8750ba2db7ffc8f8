"""[6] What a loop says to the main thread: by the ring of answers, for which the main thread is woken once for all of a turn."""

from collections import deque
from time import perf_counter_ns

from .. import failures
from ..failures import LidoTimeout, ProtocolError, describe_error, format_error
from ..rings import pack, write_message
from ..wire import DESK_HEADER, IS_HELD_UP, MAX_BLOCK, MESSAGE

# Records of one turn after which the main thread is told of them: it can begin, and is not woken for each.
_MOST_UNTOLD = 16
# What took so long to make does not wait for the end of its turn: so long may take each that comes behind it. Nanoseconds.
_LONG_NS = 1_000_000
# Records that wait for room in the ring, from which on applications wait before they send more: short ones take little of a window.
MOST_WAITING = 1024
# Of what went wrong, in characters: of a traceback the end.
_MAX_TEXT = 32768
MAX_TRACE = 98304


class Outbox:
    """One worker's. Records keep their order, whatever the ring has room for."""

    def __init__(self, timeout):
        self.loop = None
        #: Seconds, for the message that names it.
        self.timeout = timeout
        #: Tells the main thread that there is something in the ring; and hands it what lies on the desk.
        self.tell = self.call = self.desk = None
        #: Null before there is a session: what is said until then goes by the desk.
        self.ring = self.words = self.fence = None
        #: What the ring has no room for: (kind, id, first, second). The windows of requests bound it, and MOST_WAITING.
        self.waiting = deque()
        #: Requests whose applications wait for that to be less.
        self.hopeful = set()
        #: In the midst of a turn of the inbox; what is said meanwhile is told at its end.
        self.is_gathering = False
        self.untold = 0
        #: When a turn of the inbox began, or the last answer or message was whole; perf_counter_ns().
        self.moved_at = 0

    def attach(self, ring, words, fence):
        self.ring, self.words, self.fence = ring, words, fence

    def put(self, kind, request, first, second):
        """A record about a request, 0 for none."""
        if self.ring is None:
            self.post(kind, request, first, second)
        elif self.waiting or not self.ring.put(kind, request, first, second):
            self.waiting.append((kind, request, bytes(first), bytes(second)))
            if len(self.waiting) == 1:
                self.flush()
        else:
            self.untold += 1
            if not self.is_gathering:
                if self.untold == 1:
                    self.loop.call_soon(self.tell_gathered)
                elif self.untold >= _MOST_UNTOLD:
                    self.tell_main()

    def say_room(self):
        """
        The inbox has room. This is never behind what waits here: that waits for ROOM, which may wait on the main thread until there
        is room in the inbox.
        """
        self.post(MESSAGE, 0, b"", write_message("room", 0))

    def flush(self):
        """Puts what waits into the ring. The main thread says ROOM for whatever still waits then."""
        waiting = self.waiting
        while waiting and self.put_or_ask(waiting[0]):
            waiting.popleft()
        self.tell_main()
        if self.hopeful and len(waiting) < MOST_WAITING:
            hopeful, self.hopeful = self.hopeful, set()
            for cycle in hopeful:
                cycle.tell_room()

    def remember(self, cycle):
        """It waits for room, which may be room here."""
        if len(self.waiting) >= MOST_WAITING:
            self.hopeful.add(cycle)

    def put_or_ask(self, record):
        """The main thread makes room and then looks at the word; this stores the word and then looks for room."""
        if self.ring.put(*record):
            return True
        self.words[IS_HELD_UP] = 1
        self.fence()
        return self.ring.put(*record)

    def gather(self):
        """A turn of the inbox begins: what is said in it is told of at its end."""
        self.is_gathering = True
        self.moved_at = perf_counter_ns()

    def tell_in_time(self):
        """An answer, an event or a message is whole."""
        now = perf_counter_ns()
        if self.untold and now - self.moved_at >= _LONG_NS:
            self.tell_main()
        self.moved_at = now

    def tell_gathered(self):
        """The turn is over."""
        self.is_gathering = False
        if self.untold:
            self.tell_main()

    def tell_main(self):
        self.untold = 0
        # The records are counted before it is looked whether the main thread is told already, as make_waker() demands.
        self.fence()
        self.tell()

    def close(self):
        """The loop is over: nobody would hear that there is room."""
        for record in self.waiting:
            self.post(*record)
        self.waiting.clear()

    def post(self, kind, request, first, second):
        desk = self.desk
        middle = DESK_HEADER + len(first)
        desk[DESK_HEADER:middle] = first
        desk[middle : middle + len(second)] = second
        pack(desk, 0, kind, request, len(first), len(second))
        self.call()

    # ---- In words -------------------------------------------------------------------------------------------

    def say(self, kind, request, *details):
        """One of the messages of protocol.ts."""
        self.put(MESSAGE, request, b"", write_message(kind, request, *details))

    def log(self, text, level="error"):
        self.say("log", 0, level, _cut(text))

    def show_task(self, cycle, stack):
        """Where the task of a request stood as it was cancelled."""
        self.say("log", cycle.request, "error", "its task stood here", {"traceback": clean(stack)[-MAX_TRACE:]})

    def describe(self, error):
        """Code, arguments and traceback of what an application raised."""
        trace = clean(format_error(error))[-MAX_TRACE:]
        if isinstance(error, ProtocolError):
            return error.code, error.args, trace
        if isinstance(error, LidoTimeout):
            return "LIDO_TIMED_OUT", (self.timeout,), trace
        return "LIDO_APPLICATION_RAISED", (describe_error(error),), trace

    def fail(self, cycle, code, args, trace):
        message, remedy = _fill(code, args)
        self.say("fail", cycle.request, {"code": code, "message": message, "remedy": remedy, "traceback": trace})

    def tell_of(self, cycle, code, args, trace):
        """What went wrong behind an answer: the main thread has let go of the request."""
        message, _ = _fill(code, args)
        scope = cycle.scope
        fields = {
            "requestId": cycle.request_id,
            "method": scope.get("method", "websocket"),
            "url": scope["raw_path"].decode("latin-1"),
            "code": code,
            "traceback": trace,
        }
        self.say("log", 0, "error", message, fields)


def clean(text):
    """Text that can be told to others: half a surrogate is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fill(code, args):
    return failures.fill(code, [clean(str(argument))[:_MAX_TEXT] for argument in args])


def _cut(text):
    return text.encode("utf-8", "backslashreplace")[:MAX_BLOCK].decode("utf-8", "ignore")
