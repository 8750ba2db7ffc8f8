"""ASGI: /events is a stream of events, each of which goes to everybody when something is posted to /publish."""

import asyncio

listeners = set()
EVENT = b"data: something has happened here.\n\n"


async def application(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/events":
        await stream(send)
        return
    if scope["path"] == "/publish":
        for queue in listeners:
            queue.put_nowait(EVENT)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello, world!\n"})


async def stream(send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})
    queue = asyncio.Queue()
    listeners.add(queue)
    try:
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})
    finally:
        listeners.discard(queue)
