"""What is asynchronous in Python, and no WSGI application."""

import functools


async def asgi_function(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


class Application:
    async def __call__(self, scope, receive, send):
        await asgi_function(scope, receive, send)


asgi_object = Application()
asgi_partial = functools.partial(asgi_function)


async def coroutine(environ, start_response):
    start_response("200 OK", [])
    return [b"awaited"]


async def generator(environ, start_response):
    start_response("200 OK", [])
    yield b"awaited"
