"""Quart: Flask's ways on ASGI."""

import asyncio

from quart import Quart, Response, request

app = Quart(__name__)
started = []


@app.before_serving
async def start():
    started.append(True)


@app.get("/")
async def index():
    return {"args": request.args.to_dict(), "started": started, "root": request.root_path}


@app.post("/form")
async def form():
    return dict(await request.form)


@app.post("/echo")
async def echo():
    body = request.body

    async def pieces():
        async for piece in body:
            yield piece
            await asyncio.sleep(0)

    return Response(pieces())


@app.get("/fails")
async def fails():
    raise RuntimeError("as it should")
