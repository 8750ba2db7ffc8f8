"""Starlette with middleware of both kinds, forms, sessions' cookies, mounts and static files."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

ends = []


class Naming(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-named"] = "yes"
        return response


async def form(request):
    data = await request.form()
    return JSONResponse({name: value if isinstance(value, str) else len(await value.read()) for name, value in data.items()})


async def count(request):
    """The body as it streams; a client that goes away is told by an exception."""
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
    except ClientDisconnect:
        ends.append(total)
        raise
    return PlainTextResponse(str(total))


async def long(request):
    return PlainTextResponse("x" * 10_000)


async def cookies(request):
    response = JSONResponse(request.cookies)
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


async def tell(request):
    return JSONResponse(ends)


app = Starlette(
    routes=[
        Route("/form", form, methods=["POST"]),
        Route("/count", count, methods=["POST"]),
        Route("/long", long),
        Route("/cookies", cookies),
        Route("/ends", tell),
        Mount("/files", StaticFiles(directory=os.path.dirname(__file__))),
    ],
    middleware=[Middleware(Naming), Middleware(GZipMiddleware)],
)
