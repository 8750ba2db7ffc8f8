"""FastAPI: / says hello, /item is JSON, and what is posted to /items is checked and sent back with its total."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

application = FastAPI()


class Item(BaseModel):
    name: str
    price: int
    count: int = 1
    tags: list[str] = []


@application.get("/", response_class=PlainTextResponse)
async def hello():
    return "Hello, world!\n"


@application.get("/item")
async def item():
    return {"name": "towel", "price": 1200, "count": 3, "tags": ["cotton", "blue"]}


@application.post("/items")
async def create(item: Item):
    return {**item.model_dump(), "total": item.price * item.count}
