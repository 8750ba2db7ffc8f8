"""[6] One request and its response: what an ASGI application is given as receive and send."""

from asyncio import CancelledError, Event
from collections import deque
from threading import current_thread, get_ident

from ..failures import ClientGone, ProtocolError, explain, name_type, show
from ..head import declare_length
from ..rings import find_slot_word
from ..wire import (
    ACKED,
    BLOCK,
    LOOP_BODY_WINDOW,
    END,
    HEAD,
    LOOP_SLOT_BITS,
    LOOP_WINDOW,
    MAX_BLOCK,
    MAX_HEAD,
    RESPONSE,
    STRING_BLOCK_LIMIT,
    WHOLE,
)
from .extras import Trailers, are_wanted, give_hints
from .files import send_file
from .head import build_head, list_fields
from .outbox import MOST_WAITING
from .states import AWAITED, COMPLETE, SENDING, STARTED, TRAILING

_MODULO = 0xFFFFFFFF
# Chunks of a body that are shorter are joined where the application does not take them: each takes memory beside its bytes.
_SHORT_CHUNK = 1024

_EXPECTED = {
    AWAITED: "http.response.start",
    STARTED: "http.response.body",
    SENDING: "http.response.body",
    TRAILING: "http.response.trailers",
    COMPLETE: "nothing, for the response is whole",
}
# What an application that returns too early has not sent.
_MISSING = {AWAITED: "http.response.start", TRAILING: "its last http.response.trailers"}


class HttpCycle:
    """One request, from its scope to the end of its task."""

    #: Chunks of the body that have come; a deque once there was one.
    chunks = ()
    #: The application has had the body's end.
    is_read = False
    has_asked = False
    #: Bytes of the body that were handed over, and not told of.
    consumed = 0
    state = AWAITED
    head = None
    #: Bytes of early hints.
    hinted = 0
    #: Those that the application has announced; whether they are sent when they come.
    trailers = None
    awaits_trailers = False
    #: Bytes of blocks, modulo 2^32, as ACKED counts them; and which of the words that is.
    sent = 0
    acked = None
    #: The client is gone, or the request was cancelled.
    gone = False
    is_cancelled = False
    #: Its answer is whole, and the main thread waits for the end of its task.
    keeps_place = False
    task = None
    #: Set when something has come that receive() may wait for; and when send() may go on.
    news = None
    room = None

    def __init__(self, worker, request, scope, body):
        self.worker = worker
        self.outbox = worker.outbox
        self.request = request
        self.scope = scope
        #: The whole body, None once it was handed over, or where it comes in chunks.
        self.body = body
        #: Nothing of the body is still to come.
        self.has_ended = body is not None

    @property
    def request_id(self):
        return self.scope["extensions"]["lido"]["request_id"]

    async def run(self, application):
        """The request's task. Whatever happens, the request is ended once."""
        try:
            await application(self.scope, self.receive, self.send)
        except BaseException as error:
            self.worker.leave(self)
            self.end_with(error)
        else:
            self.worker.leave(self)
            self.end()

    # ---- receive --------------------------------------------------------------------------------------------

    async def receive(self):
        body = self.body
        if body is not None and self.state != COMPLETE:
            self.body = None
            self.is_read = True
            return {"type": "http.request", "body": body, "more_body": False}
        while True:
            if self.chunks and self.state != COMPLETE:
                return self.take_chunks()
            if self.gone or self.state == COMPLETE:
                return {"type": "http.disconnect"}
            if self.has_ended and not self.is_read:
                self.is_read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if not self.has_asked and not self.has_ended:
                self.has_asked = True
                self.outbox.say("read", self.request)
            if self.news is None:
                self.news = Event()
            self.news.clear()
            await self.news.wait()

    def take_chunks(self):
        """All that has come: an application that reads slowly gets large pieces."""
        body = b"".join(self.chunks)
        self.chunks = ()
        self.is_read = self.has_ended
        self.consumed += len(body)
        if self.consumed >= LOOP_BODY_WINDOW // 2 and not self.has_ended:
            self.outbox.say("credit", self.request, self.consumed)
            self.consumed = 0
        return {"type": "http.request", "body": body, "more_body": not self.has_ended}

    def feed(self, chunk):
        if not self.chunks:
            self.chunks = deque((chunk,))
        elif len(self.chunks[-1]) < _SHORT_CHUNK and len(chunk) < _SHORT_CHUNK:
            self.chunks[-1] += chunk
        else:
            self.chunks.append(chunk)
        self.tell_news()

    def end_body(self):
        self.has_ended = True
        self.tell_news()

    def lose_client(self):
        self.gone = True
        self.chunks = ()
        self.tell_news()
        self.tell_room()

    def tell_news(self):
        if self.news is not None:
            self.news.set()

    def tell_room(self):
        if self.room is not None:
            self.room.set()

    # ---- send -----------------------------------------------------------------------------------------------

    async def send(self, message):
        """Returns once what was sent is on its way, and there is room for more."""
        worker = self.worker
        if get_ident() != worker.thread:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", current_thread().name))
        kind = message["type"]
        if self.gone:
            raise ClientGone("the client is gone")
        if kind == "http.response.body" and (self.state == STARTED or self.state == SENDING):
            block = message.get("body", b"")
            if type(block) is not bytes:
                block = _take_bytes(block)
            if message.get("more_body", False):
                if self.state == SENDING:
                    # The next event of a stream, most often: there is room, and it is no task's turn to wait.
                    if len(block) > MAX_BLOCK or not self.put_block(block):
                        await self.send_block(block)
                    self.outbox.tell_in_time()
                elif len(block) <= STRING_BLOCK_LIMIT:
                    self.begin(block)
                else:
                    self.begin(b"")
                    await self.send_block(block)
            elif self.awaits_trailers:
                if self.state == STARTED:
                    self.begin(b"")
                await self.send_block(block)
                self.state = TRAILING
            elif self.state == STARTED and len(block) <= STRING_BLOCK_LIMIT and not worker.has_many_behind():
                self.outbox.put(RESPONSE, self.request, self.head, block)
                self.complete()
            else:
                if self.state == STARTED:
                    # The length of an empty body says nothing of what GET would have returned.
                    if block:
                        self.head = declare_length(self.head, len(block))
                    self.begin(b"")
                await self.send_block(block)
                self.finish()
        elif kind == "http.response.pathsend" and (self.state == STARTED or self.state == SENDING):
            await send_file(self, message["path"])
        elif kind == "http.response.start" and self.state == AWAITED:
            if message.get("trailers", False):
                head = self.announce_trailers(message)
            else:
                head = build_head(message["status"], message.get("headers", ()))
            if len(head) > MAX_HEAD:
                raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
            self.head = head
            self.state = STARTED
            worker.expect_body(self)
        elif kind == "http.response.early_hint" and self.state != COMPLETE:
            give_hints(self, message["links"])
        elif kind == "http.response.trailers" and self.trailers is not None and self.state >= TRAILING:
            self.trailers.add(self, message)
        else:
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(kind), f"expected is {_EXPECTED[self.state]}")

    def announce_trailers(self, message):
        """The head of an answer whose body is not its end."""
        headers = list_fields(message.get("headers", ()))
        head = build_head(message["status"], headers)
        self.trailers = Trailers(headers)
        self.awaits_trailers = are_wanted(self.scope, head)
        return self.trailers.announce(head) if self.awaits_trailers else head

    def begin(self, block):
        """The head goes out, with a block or alone."""
        self.state = SENDING
        self.acked = find_slot_word(self.request, ACKED, LOOP_SLOT_BITS)
        self.sent = len(block)
        self.outbox.put(HEAD, self.request, self.head, block)

    def flush_head(self):
        """The application waits for something before it sends its body: a client may want to know how it has begun."""
        if self.state == STARTED and not self.gone:
            self.begin(b"")
            # An empty block sends the head on its way.
            self.outbox.put(BLOCK, self.request, b"", b"")

    async def send_block(self, block):
        with memoryview(block) as view:
            for at in range(0, len(view), MAX_BLOCK):
                while not self.put_block(view[at : at + MAX_BLOCK]):
                    await self.wait_until(self.has_room)
                    if self.gone:
                        raise ClientGone("the client is gone")

    def put_block(self, block):
        """False where too much waits for the client, or for the ring."""
        if len(self.outbox.waiting) >= MOST_WAITING or (self.sent - self.worker.words[self.acked]) & _MODULO >= LOOP_WINDOW:
            return False
        if block:
            self.sent = (self.sent + len(block)) & _MODULO
            self.outbox.put(BLOCK, self.request, b"", block)
        return True

    def has_room(self):
        return len(self.outbox.waiting) < MOST_WAITING and (self.sent - self.worker.words[self.acked]) & _MODULO < LOOP_WINDOW

    async def wait_until(self, is_true):
        """
        Until something has come true of the slot's words, or the client is gone. The main thread looks at WAITS when it has
        changed them: what it changed before is seen here.
        """
        if self.room is None:
            self.room = Event()
        while not self.gone:
            self.room.clear()
            self.worker.store_wish(self.request)
            if is_true():
                return
            self.outbox.remember(self)
            await self.room.wait()

    def finish(self):
        """The answer is whole. Where as many tasks go on behind theirs as there are places, the request keeps its own."""
        self.keeps_place = self.worker.has_many_behind()
        self.outbox.put(WHOLE if self.keeps_place else END, self.request, b"", b"")
        self.complete()

    def complete(self):
        """The request is over for the main thread; its task may go on, with what is to be done behind the answer."""
        self.state = COMPLETE
        self.outbox.tell_in_time()
        self.worker.forget(self)
        self.tell_news()

    # ---- the end --------------------------------------------------------------------------------------------

    def end(self):
        if self.state == COMPLETE:
            self.give_place()
            return
        if self.gone:
            self.give_up()
        else:
            missing = _MISSING.get(self.state, "its last http.response.body")
            self.fail("LIDO_RESPONSE_NOT_WHOLE", (missing,), "")

    def end_with(self, error):
        """The application raised."""
        outbox = self.outbox
        if self.state == COMPLETE:
            # Frameworks answer with a page of their own, and raise what brought that about for the log.
            if not (self.is_cancelled and isinstance(error, CancelledError)):
                outbox.tell_of(self, *outbox.describe(error))
            self.give_place()
        elif self.gone:
            if not isinstance(error, (ClientGone, CancelledError)):
                outbox.log(f"its client was gone when the application raised {show(error)}", "info")
            self.give_up()
        else:
            self.fail(*outbox.describe(error))

    def fail(self, code, args, trace):
        self.outbox.fail(self, code, args, trace)
        self.complete()

    def give_place(self):
        """Its task is over as well."""
        if self.keeps_place:
            self.outbox.put(END, self.request, b"", b"")

    def give_up(self):
        """Nobody waits for an answer any more."""
        self.outbox.put(END, self.request, b"", b"")
        self.complete()

    def cancel(self):
        """The main thread has answered for the request, or its client is gone and it goes on."""
        self.is_cancelled = self.gone = True
        self.task.cancel()


def _take_bytes(block):
    """What ASGI calls a byte string. A memoryview or a bytearray may change once it was sent."""
    if not isinstance(block, (bytes, bytearray, memoryview)):
        raise ProtocolError("LIDO_BLOCK_NOT_BYTES", name_type(block))
    return bytes(memoryview(block))
