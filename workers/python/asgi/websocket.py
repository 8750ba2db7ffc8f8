"""[6] One WebSocket: what an ASGI application is given as receive and send, from the handshake to the close."""

from asyncio import CancelledError, Event
from collections import deque
from threading import current_thread, get_ident

from ..failures import ClientGone, ProtocolError, explain, show
from ..rings import find_slot_word
from ..wire import (
    ACCEPT,
    ACKED,
    BINARY,
    CLOSED,
    END,
    LOOP_SLOT_BITS,
    MAX_BLOCK,
    MAX_HEAD,
    PART,
    TEXT,
    WEBSOCKET_CREDIT,
    WEBSOCKET_MESSAGE_COST,
    WEBSOCKET_OVERHEAD,
)
from .head import build_accept
from .http import HttpCycle
from .states import COMPLETE

# What has become of the handshake. DENIED: it is answered as any request, by HttpCycle. LEAVING: the application has closed it.
HANDSHAKE, OPEN, DENIED, LEAVING = range(4)

_EXPECTED = {
    HANDSHAKE: "websocket.accept, websocket.close or websocket.http.response.start",
    OPEN: "websocket.send or websocket.close",
    LEAVING: "nothing, for it is closed",
}
_DENIAL = "websocket.http.response."

# RFC 6455, section 7.4: those that an application may send.
_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
# A close frame holds no more, beside its code. Bytes.
_MAX_REASON = 123
_NORMAL = 1000
_GONE = 1006


class WebSocketCycle(HttpCycle):
    """The handshake is a request, and may be answered as one; what comes behind it are messages."""

    def __init__(self, worker, request, scope):
        super().__init__(worker, request, scope, b"")
        self.stage = HANDSHAKE
        self.is_told = False
        #: (kind, bytes) of messages that the application has not received.
        self.messages = deque()
        #: Code and reason once it is over; None before.
        self.ending = None

    # ---- receive --------------------------------------------------------------------------------------------

    async def receive(self):
        if not self.is_told:
            self.is_told = True
            return {"type": "websocket.connect"}
        while True:
            if self.messages:
                return self.take_message()
            if self.ending is not None or self.state == COMPLETE:
                code, reason = self.ending or (_GONE, "")
                return {"type": "websocket.disconnect", "code": code, "reason": reason}
            if self.news is None:
                self.news = Event()
            self.news.clear()
            await self.news.wait()

    def take_message(self):
        kind, content = self.messages.popleft()
        self.consumed += max(len(content), WEBSOCKET_MESSAGE_COST)
        if self.consumed >= WEBSOCKET_CREDIT // 2 and self.ending is None:
            self.outbox.say("credit", self.request, self.consumed)
            self.consumed = 0
        # One key alone, as uvicorn and granian have it: applications ask which one is there.
        if kind == TEXT:
            return {"type": "websocket.receive", "text": content.decode()}
        return {"type": "websocket.receive", "bytes": content}

    def take_in(self, kind, content):
        self.messages.append((kind, content))
        self.tell_news()

    def close(self, code, reason):
        """It is over, whoever began that. What came before can still be received."""
        self.gone = True
        self.ending = (code, reason)
        self.tell_news()
        self.tell_room()

    def lose_client(self):
        if self.ending is None:
            self.close(_GONE, "")

    # ---- send -----------------------------------------------------------------------------------------------

    async def send(self, message):
        """Returns once what was sent is on its way, and there is room for more."""
        if get_ident() != self.worker.thread:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", current_thread().name))
        kind = message["type"]
        if self.gone:
            raise ClientGone("the client is gone")
        if self.stage == OPEN and kind == "websocket.send":
            await self.send_message(message)
        elif self.stage == HANDSHAKE and kind == "websocket.accept":
            self.accept(message)
        elif self.stage in (HANDSHAKE, OPEN) and kind == "websocket.close":
            self.leave(message)
        elif self.stage in (HANDSHAKE, DENIED) and kind.startswith(_DENIAL):
            self.stage = DENIED
            await super().send({**message, "type": "http.response." + kind[len(_DENIAL) :]})
        elif self.stage == DENIED:
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(kind), "expected is the rest of websocket.http.response")
        else:
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(kind), f"expected is {_EXPECTED[self.stage]}")

    def accept(self, message):
        head = build_accept(message.get("subprotocol"), message.get("headers") or ())
        if len(head) > MAX_HEAD:
            raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
        self.stage = OPEN
        self.acked = find_slot_word(self.request, ACKED, LOOP_SLOT_BITS)
        self.outbox.put(ACCEPT, self.request, head, b"")

    async def send_message(self, message):
        """A message goes out whole: nothing else may come between its parts."""
        kind, content = _read_message(message)
        if not self.has_room():
            await self.wait_until(self.has_room)
            if self.gone:
                raise ClientGone("the client is gone")
            if self.stage != OPEN:
                raise ProtocolError("LIDO_ASGI_MESSAGE", show(message["type"]), f"expected is {_EXPECTED[self.stage]}")
        self.sent = (self.sent + len(content) + WEBSOCKET_OVERHEAD) & 0xFFFFFFFF
        rest = 0
        while len(content) - rest > MAX_BLOCK:
            self.outbox.put(PART, self.request, b"", content[rest : rest + MAX_BLOCK])
            rest += MAX_BLOCK
        self.outbox.put(kind, self.request, b"", content[rest:])
        self.outbox.tell_in_time()

    def leave(self, message):
        code, reason = message.get("code", _NORMAL), message.get("reason") or ""
        if code not in _CODES:
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(message["type"]), f"{show(code)} is no code to send")
        reason = reason.encode()
        if len(reason) > _MAX_REASON:
            raise ProtocolError(
                "LIDO_ASGI_MESSAGE", show(message["type"]), f"its reason has more than {_MAX_REASON} bytes"
            )
        if self.stage == HANDSHAKE:
            # The answer is 403, and nothing more is heard of the client.
            self.ending = (_GONE, "")
        self.stage = LEAVING
        self.say_closed(code, reason)

    def say_closed(self, code, reason):
        self.outbox.put(CLOSED, self.request, b"%d" % code, reason)

    # ---- the end --------------------------------------------------------------------------------------------

    def end(self):
        if self.stage == DENIED or self.state == COMPLETE:
            super().end()
        elif self.stage == HANDSHAKE and not self.gone:
            self.fail("LIDO_RESPONSE_NOT_WHOLE", ("websocket.accept or websocket.close",), "")
        else:
            if self.stage == OPEN and not self.gone:
                self.say_closed(_NORMAL, b"")
            self.give_up()

    def end_with(self, error):
        if self.stage == LEAVING and not self.gone and isinstance(error, CancelledError):
            self.give_up()
        else:
            super().end_with(error)


def _read_message(message):
    """The kind of its record, and its bytes."""
    content = message.get("bytes")
    if content is not None:
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(message["type"]), f"its bytes are {show(content)}")
        return BINARY, bytes(content)
    text = message.get("text")
    if not isinstance(text, str):
        raise ProtocolError("LIDO_ASGI_MESSAGE", show(message["type"]), "it has neither bytes nor text")
    return TEXT, text.encode()
