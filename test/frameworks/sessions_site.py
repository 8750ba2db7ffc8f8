"""Sessions of a database that have to be given back, however a request ends: as SQLAlchemy's pool has them."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

import anyio
from fastapi import Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

#: How many were opened, how many are open, and how each was left.
opened = []
left = []


@asynccontextmanager
async def open_session(name):
    opened.append(name)
    try:
        yield name
    except BaseException as error:
        left.append(f"{name}: {type(error).__name__}")
        raise
    else:
        left.append(f"{name}: returned")
    finally:
        # What a pool does to take a connection back: it waits, shielded from the cancellation that it is in the midst of.
        with anyio.CancelScope(shield=True):
            await asyncio.sleep(0)
        opened.remove(name)


async def session():
    async with open_session("dependency") as opened_session:
        yield opened_session


async def pass_on(request: Request, call_next):
    async with open_session("middleware"):
        response = await call_next(request)
    return response


app = FastAPI()
app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
app.add_middleware(GZipMiddleware, minimum_size=100_000)


@app.get("/stream")
async def stream(_: Annotated[str, Depends(session)]):
    """Endless, with a session within the stream."""

    async def lines():
        async with open_session("stream"):
            while True:
                yield b"data: more\n\n"
                await asyncio.sleep(0.005)

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/waits")
async def waits(_: Annotated[str, Depends(session)]):
    async with open_session("handler"):
        await asyncio.sleep(3600)


@app.get("/listens")
async def listens(request: Request):
    """Works until its client goes, by a group of tasks; then what it does is cancelled."""

    async def listen(scope):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with open_session("handler"), anyio.create_task_group() as group:
        group.start_soon(listen, group.cancel_scope)
        await anyio.sleep(3600)


@app.get("/patience")
async def patience(request: Request):
    """receive() that is cancelled has taken nothing."""
    first = await request.body()
    for _ in range(3):
        try:
            await asyncio.wait_for(request.receive(), 0.01)
        except asyncio.TimeoutError:
            left.append("receive: TimeoutError")
    left.append((await request.receive())["type"])
    return {"body": len(first)}


@app.websocket("/socket")
async def socket(client: WebSocket):
    await client.accept()
    async with open_session("socket"), anyio.create_task_group() as group:

        async def tick():
            while True:
                await anyio.sleep(0.005)

        group.start_soon(tick)
        try:
            while True:
                await client.send_text(await client.receive_text())
        except WebSocketDisconnect:
            group.cancel_scope.cancel()


async def poll(request):
    """The same by asking again and again; behind BaseHTTPMiddleware Starlette itself does not hear of it."""
    async with open_session("poll"):
        while not await request.is_disconnected():
            await asyncio.sleep(0.005)


async def tell(scope, receive, send):
    """Beside it, without its middleware: what is open, and how all others were left. DELETE forgets those."""
    if scope["type"] == "http" and scope["path"] == "/poll":
        await poll(Request(scope, receive))
    elif scope["type"] == "http" and scope["path"] == "/sessions":
        if scope["method"] == "DELETE":
            left.clear()
        body = "\n".join([",".join(sorted(opened)), *left]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        await app(scope, receive, send)
