"""[6] What a loop is told: it looks at its inbox in each turn, or when the bell has rung, and hands on what is there."""

from ..failures import format_error
from ..stacks import format_task
from ..wire import BINARY, BLOCK, CANCEL, CLOSE, CLOSED, END, LEFT, REQUEST, ROOM, STREAMED_REQUEST, TEXT, WEBSOCKET
from .http import HttpCycle
from .loops import silence
from .websocket import WebSocketCycle

# Records that are looked at before the tasks of others come to their turn.
_MOST_AT_ONCE = 64


class Listener:
    """Reads one worker's inbox, and starts its requests."""

    def __init__(self, worker, inbox, begins_later):
        self.worker = worker
        self.inbox = inbox
        self.outbox = worker.outbox
        self.cycles = worker.cycles
        self.scopes = worker.scopes
        #: Tasks begin in the turn behind that which has made them.
        self.begins_later = begins_later
        self.handlers = {
            REQUEST: self.begin_whole,
            STREAMED_REQUEST: self.begin_streamed,
            WEBSOCKET: self.begin_websocket,
            BLOCK: self.feed,
            END: self.end_body,
            TEXT: self.take_text,
            BINARY: self.take_bytes,
            CLOSED: self.close_websocket,
            LEFT: self.lose_client,
            ROOM: self.give_room,
            CANCEL: self.cancel,
            CLOSE: self.close,
        }

    def wake(self):
        silence(self.worker.bell)
        self.read()

    def read(self):
        """Takes what is there, a part at a time, and lets the main thread ring once there is nothing more."""
        inbox = self.inbox
        inbox.give_sign()
        self.outbox.gather()
        count = 0
        record = inbox.take()
        while record is not None:
            self.handle(*record)
            count += 1
            record = inbox.take() if count < _MOST_AT_ONCE else None
        if inbox.give_back():
            self.outbox.say_room()
        self.worker.look_at_begun()
        self.outbox.tell_gathered()
        # Tasks that have yet to begin do so in the next turn, and then there may be something new without the bell.
        if (count if self.begins_later else count == _MOST_AT_ONCE) or not inbox.fall_asleep():
            self.worker.loop.call_soon(self.read)

    def handle(self, kind, request, first, second):
        try:
            self.handlers[kind](request, first, second)
        except BaseException as error:
            self.outbox.log(f"the gateway failed: {format_error(error)}")

    # ---- Requests -------------------------------------------------------------------------------------------

    def begin_whole(self, request, environ, body):
        self.worker.start(HttpCycle(self.worker, request, self.scopes.build(environ), body))

    def begin_streamed(self, request, environ, _):
        self.worker.start(HttpCycle(self.worker, request, self.scopes.build(environ), None))

    def begin_websocket(self, request, environ, _):
        self.worker.start(WebSocketCycle(self.worker, request, self.scopes.build_websocket(environ)))

    # ---- What becomes of them -------------------------------------------------------------------------------

    def feed(self, request, _, chunk):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.feed(chunk)

    def end_body(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.end_body()

    def take_text(self, request, _, content):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.take_in(TEXT, content)

    def take_bytes(self, request, _, content):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.take_in(BINARY, content)

    def close_websocket(self, request, code, reason):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.close(int(code), reason.decode())

    def lose_client(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.lose_client()

    def give_room(self, request, *_):
        """0 says that the ring of answers has room."""
        if request == 0:
            self.outbox.flush()
            return
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.tell_room()

    def cancel(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            self.outbox.show_task(cycle, format_task(cycle.task))
            cycle.cancel()

    def close(self, _, seconds, __):
        self.worker.close(float(seconds))
