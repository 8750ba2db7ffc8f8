"""ASGI: what a WebSocket is told, by its path; GET /events?name tells what befell the WebSocket of that name."""

import asyncio
import json

events = {}


def note(scope, *what):
    events.setdefault(scope["query_string"].decode(), []).append(list(what))


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
    elif scope["type"] == "http":
        await tell(scope, send)
    else:
        message = await receive()
        assert message == {"type": "websocket.connect"}
        try:
            await BEHAVIOURS[scope["path"].rpartition("/")[2]](scope, receive, send)
        except BaseException as error:
            note(scope, "raised", type(error).__name__, isinstance(error, OSError))
            raise


async def live(scope, receive, send):
    scope["state"]["started"] = True
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def tell(scope, send):
    body = json.dumps(events.get(scope["query_string"].decode(), [])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def echo(scope, receive, send):
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            note(scope, "disconnect", message["code"], message["reason"])
            return
        assert len(message) == 2, message
        await send({**message, "type": "websocket.send"})


async def show(scope, receive, send):
    await send({
        "type": "websocket.accept",
        "subprotocol": scope["subprotocols"][-1] if scope["subprotocols"] else None,
        "headers": [(b"x-own", b"value"), (b"connection", b"close"), (b"Set-Cookie", b"a=b")],
    })
    shown = {
        name: value
        for name, value in scope.items()
        if name in ("type", "http_version", "scheme", "path", "root_path", "subprotocols", "state", "extensions")
    }
    shown["raw_path"] = scope["raw_path"].decode("latin-1")
    shown["query_string"] = scope["query_string"].decode("latin-1")
    shown["client"] = scope["client"][0]
    shown["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    await send({"type": "websocket.send", "text": json.dumps(shown)})
    await send({"type": "websocket.close"})


async def forbid(scope, receive, send):
    await send({"type": "websocket.close", "code": 4000})
    message = await receive()
    note(scope, message["type"], message["code"])


async def deny(scope, receive, send):
    head = {"type": "websocket.http.response.start", "status": 401}
    await send({**head, "headers": [(b"www-authenticate", b"Basic"), (b"content-type", b"text/plain")]})
    for more in (True, False):
        await send({"type": "websocket.http.response.body", "body": b"who are you? ", "more_body": more})


async def leave(scope, receive, send):
    pass


async def fail(scope, receive, send):
    raise RuntimeError("before")


async def wait(scope, receive, send):
    note(scope, "waits")
    note(scope, (await receive())["type"])


async def hang(scope, receive, send):
    await asyncio.sleep(3600)


async def close(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4001, "reason": "ça suffit"})
    message = await receive()
    note(scope, message["type"], message["code"], message["reason"])
    try:
        await send({"type": "websocket.send", "text": "late"})
    except Exception as error:
        note(scope, "raised", type(error).__name__)


async def end(scope, receive, send):
    await send({"type": "websocket.accept"})


async def fail_later(scope, receive, send):
    await send({"type": "websocket.accept"})
    await receive()
    raise RuntimeError("later")


async def mistake(scope, receive, send):
    """Sends what the first message has, as JSON."""
    await send({"type": "websocket.accept"})
    await send(json.loads((await receive())["text"]))


async def flood(scope, receive, send):
    """Sends as fast as it is let, and notes how much that was; never receives."""
    await send({"type": "websocket.accept"})
    note(scope, 0)
    while True:
        await send({"type": "websocket.send", "bytes": bytes(100_000)})
        events[scope["query_string"].decode()][0][0] += 1


async def flood_empty(scope, receive, send):
    """Sends messages of no bytes as fast as it is let."""
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "bytes": b""})


async def ignore(scope, receive, send):
    """Takes nothing before the event loop has been told to by a message of another WebSocket of that name."""
    await send({"type": "websocket.accept"})
    gate = gates.setdefault(scope["query_string"], asyncio.Event())
    await gate.wait()
    count = 0
    while (await receive())["type"] == "websocket.receive":
        count += 1
    note(scope, "received", count)


async def open_gate(scope, receive, send):
    await send({"type": "websocket.accept"})
    gates.setdefault(scope["query_string"], asyncio.Event()).set()
    await send({"type": "websocket.close"})


async def talk(scope, receive, send):
    """Sends from two tasks at once."""
    await send({"type": "websocket.accept"})

    async def say(letter):
        for _ in range(5):
            await send({"type": "websocket.send", "text": letter * 400_000})

    await asyncio.gather(say("a"), say("b"))


gates = {}

BEHAVIOURS = {
    "echo": echo,
    "show": show,
    "forbid": forbid,
    "deny": deny,
    "leave": leave,
    "fail": fail,
    "wait": wait,
    "hang": hang,
    "close": close,
    "end": end,
    "failLater": fail_later,
    "mistake": mistake,
    "flood": flood,
    "floodEmpty": flood_empty,
    "ignore": ignore,
    "openGate": open_gate,
    "talk": talk,
}
