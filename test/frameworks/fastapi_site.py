"""FastAPI as it is used: dependencies, models, uploads, streams, background tasks, a lifespan."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

events = []


@asynccontextmanager
async def lifespan(app):
    yield {"started": True}


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    name: str
    price: float


async def find_user(authorization: Annotated[str | None, Header()] = None):
    if authorization is None:
        raise HTTPException(401, "who are you?")
    try:
        yield authorization.removeprefix("Bearer ")
    finally:
        events.append("let go")


@app.get("/me")
async def me(user: Annotated[str, Depends(find_user)]):
    return {"user": user}


@app.post("/items")
async def create(item: Item):
    return item


@app.get("/plain/{number}")
def plain(number: int):
    """In a thread of the pool."""
    return {"number": number}


@app.post("/upload")
async def upload(file: UploadFile):
    return {"name": file.filename, "size": len(await file.read())}


@app.get("/stream")
async def stream(count: int = 3):
    async def lines():
        for number in range(count):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/endless")
async def endless():
    async def lines():
        try:
            while True:
                yield b"data: more\n\n"
                await asyncio.sleep(0.01)
        finally:
            events.append("stream ended")

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.get("/background")
async def background(tasks: BackgroundTasks):
    tasks.add_task(events.append, "in the background")
    return {}


@app.get("/state")
async def state(request: Request):
    return {"started": request.state.started, "url": str(request.url_for("state"))}


@app.get("/file")
async def file():
    return FileResponse(__file__)


@app.get("/fails")
async def fails():
    raise RuntimeError("as it should")


@app.get("/events")
async def tell(wanted: str):
    while wanted not in events:
        await asyncio.sleep(0.005)
    return events
