"""ASGI applications, named by what they do."""

import asyncio
import contextvars
import functools
import json
import os
import threading
import time

OK = [(b"content-type", b"text/plain")]


def http_only(application):
    """Most of them have no lifespan."""

    @functools.wraps(application)
    async def wrapped(scope, receive, send):
        assert scope["type"] == "http"
        await application(scope, receive, send)

    return wrapped


async def answer(send, body, status=200, headers=OK):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if isinstance(body, bytes) else str(body).encode()})


async def read_body(receive):
    """The whole body, and how many messages it took."""
    body, count = b"", 0
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        count += 1
        if not message["more_body"]:
            return body, count


@http_only
async def hello(scope, receive, send):
    await answer(send, b"Hello, world!\n")


def plain_function(scope, receive, send):
    """What a decorator may return: no coroutine function, but a coroutine."""
    return hello(scope, receive, send)


class Callable:
    async def __call__(self, scope, receive, send):
        await hello(scope, receive, send)


class Awaited:
    """ASGI 3 as a class: its instances are awaited."""

    def __init__(self, scope, receive, send):
        self.arguments = (scope, receive, send)

    def __await__(self):
        return hello(*self.arguments).__await__()


instance = Callable()
partial = functools.partial(hello)


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"by WSGI\n"]


@http_only
async def show_scope(scope, receive, send):
    def show(value):
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, dict):
            return {name: show(item) for name, item in value.items()}
        return [show(item) for item in value] if isinstance(value, (list, tuple)) else value

    await answer(send, json.dumps(show(scope)))


@http_only
async def echo(scope, receive, send):
    body, count = await read_body(receive)
    await answer(send, body, headers=[(b"x-messages", b"%d" % count)])


@http_only
async def echo_pieces(scope, receive, send):
    """Each piece as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


@http_only
async def stream(scope, receive, send):
    """Blocks of x, as many and as long as the query says: blocks=3&size=5."""
    query = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
    block = b"x" * int(query["size"])
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    for _ in range(int(query["blocks"])):
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body"})


@http_only
async def head_first(scope, receive, send):
    """The body comes when another request says so."""
    gate = gates.setdefault(scope["server"], asyncio.Event())
    if scope["method"] == "POST":
        gate.set()
        await answer(send, b"opened")
        return
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    await gate.wait()
    await send({"type": "http.response.body", "body": b"at last"})


gates = {}


@http_only
async def endless(scope, receive, send):
    """As fast as the client takes it; /sent tells how many blocks of 64 KiB were sent, and what ended it."""
    sent = kept(scope, {"blocks": 0})
    if scope["path"] == "/sent":
        await answer(send, json.dumps(sent))
        return
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent["blocks"] += 1
    except OSError as error:
        sent["end"] = type(error).__name__
        raise


#: What an application keeps, by the port that it is served at.
keeping = {}


def kept(scope, first):
    return keeping.setdefault(scope["server"], first)


@http_only
async def tells_disconnect(scope, receive, send):
    """/told lists what became of the others; /told?N waits until there are N."""
    told = kept(scope, [])
    if scope["path"] == "/told":
        wanted = int(scope["query_string"] or 0)
        while len(told) < wanted:
            await asyncio.sleep(0.005)
        await answer(send, json.dumps(told))
        return
    try:
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
        told.append(message["type"])
        try:
            await send({"type": "http.response.body", "body": b"more", "more_body": True})
        except OSError as error:
            told.append(f"send raised {type(error).__name__}")
    except asyncio.CancelledError:
        told.append("cancelled")
        raise


@http_only
async def waits(scope, receive, send):
    """/forever waits for what does not come; what is raised there is told by /told."""
    told = kept(scope, [])
    if scope["path"] == "/told":
        await answer(send, json.dumps(told))
        return
    if scope["path"] == "/":
        await answer(send, b"ok")
        return
    try:
        await asyncio.sleep(3600)
    except BaseException as error:
        told.append(type(error).__name__)
        raise


@http_only
async def deaf_streams(scope, receive, send):
    """/stream begins a stream of events, and then waits for what does not come; /slow does not even begin."""
    if scope["path"] == "/":
        await answer(send, b"Hello, world!\n")
        return
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.sleep(3600)


@http_only
async def silent_stream(scope, receive, send):
    """Says nothing for a second in the midst of its answer."""
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await asyncio.sleep(1)
    await send({"type": "http.response.body", "body": b"two"})


@http_only
async def blocks_loop(scope, receive, send):
    """/block holds up the loop; others do not."""
    if scope["path"] == "/block":
        while True:
            time.sleep(0.01)
    if scope["path"] == "/c":
        time.sleep(float(scope["query_string"]))
    await answer(send, b"%d" % threading.get_ident())


@http_only
async def misbehaves(scope, receive, send):
    what = scope["path"][1:]
    start = {"type": "http.response.start", "status": 200, "headers": OK}
    if what == "raises":
        raise ValueError("before the answer")
    if what == "raises-within":
        await send(start)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("within the answer")
    if what == "raises-behind":
        await answer(send, b"whole")
        raise ValueError("behind the answer")
    if what == "leaves":
        raise SystemExit(3)
    if what == "nothing":
        return
    if what == "half":
        await send(start)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    if what == "body-first":
        await send({"type": "http.response.body", "body": b"body"})
    if what == "twice":
        await send(start)
        await send(start)
    if what == "text":
        await send(start)
        await send({"type": "http.response.body", "body": "text"})
    if what == "header":
        await send({**start, "headers": [(b"x", b"a\r\nb: c")]})
    if what == "header-text":
        await send({**start, "headers": [("x", "y")]})
    if what == "status":
        await send({**start, "status": 99})
    if what == "task-leaves":
        asyncio.ensure_future(leave())
        await asyncio.sleep(0.05)
        await answer(send, b"still here")
    if what == "framing":
        await answer(send, b"whole", headers=[(b"transfer-encoding", b"chunked"), (b"connection", b"close")])
    if what == "thread":
        await answer(send, await asyncio.to_thread(send_elsewhere, send, start))


def send_elsewhere(send, start):
    try:
        send(start).send(None)
    except RuntimeError as error:
        return str(error)
    except StopIteration:
        return "sent"


async def leave():
    raise SystemExit(3)


variable = contextvars.ContextVar("variable", default="unset")


@http_only
async def context(scope, receive, send):
    """What the last request has left in its context, which is none of this one's."""
    before = variable.get()
    variable.set("set")
    await asyncio.sleep(0)
    await answer(send, before)


@http_only
async def background(scope, receive, send):
    """Goes on behind its answer."""
    told = kept(scope, [])
    if scope["path"] == "/told":
        await answer(send, json.dumps(told))
        return
    await answer(send, b"answered")
    assert (await receive())["type"] == "http.disconnect"
    await asyncio.sleep(0.2)
    told.append("done")
    await write("done")


@http_only
async def meets(scope, receive, send):
    """Answers once so many are there: /50."""
    meeting = kept(scope, [])
    meeting.append(None)
    while len(meeting) < int(scope["path"][1:]):
        await asyncio.sleep(0.005)
    await answer(send, b"met")


def lifespan_that(*, at_startup=None, at_shutdown=None):
    """An application with a lifespan, which leaves a state and writes what happens into $LIDO_TEST_FILE."""

    async def application(scope, receive, send):
        if scope["type"] == "http":
            scope["state"]["own"] = scope["state"].get("own", 0) + 1
            await answer(send, json.dumps({name: len(value) if name == "shared" else value for name, value in scope["state"].items()}))
            scope["state"]["shared"].append(1)
            return
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["shared"] = []
        await write("startup")
        if at_startup is not None:
            await send({"type": "lifespan.startup.failed", "message": at_startup})
            return
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await write("shutdown")
        if at_shutdown is not None:
            await send({"type": "lifespan.shutdown.failed", "message": at_shutdown})
            return
        await send({"type": "lifespan.shutdown.complete"})

    return application


async def write(text):
    if "LIDO_TEST_FILE" not in os.environ:
        return
    await asyncio.sleep(0.05)
    with open(os.environ["LIDO_TEST_FILE"], "a") as file:
        file.write(f"{text} {threading.get_ident()}\n")


lifespan = lifespan_that()
cannot_start = lifespan_that(at_startup="no database")
cannot_stop = lifespan_that(at_shutdown="the database is gone")


async def never_stops(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(3600)
    await answer(send, b"hello")


@http_only
async def which_loop(scope, receive, send):
    await answer(send, type(asyncio.get_running_loop()).__module__)


@http_only
async def sends_file(scope, receive, send):
    """The file that the query names, as it is."""
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    if scope["path"] == "/late":
        await asyncio.sleep(0.05)
    await send({"type": "http.response.pathsend", "path": scope["query_string"].decode()})


@http_only
async def burst(scope, receive, send):
    """Once so many are there, each sends sixteen blocks at once, and more than one ring has room for: /40."""
    meeting = kept(scope, [])
    number = len(meeting)
    meeting.append(None)
    while len(meeting) % int(scope["path"][1:]) != 0:
        await asyncio.sleep(0.005)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-number", b"%d" % number)]})
    for block in range(16):
        letter = b"%c" % (97 + (number + block) % 26)
        await send({"type": "http.response.body", "body": letter * 20_000, "more_body": block < 15})


async def hints(scope, receive, send):
    """As the two of the same name that speak WSGI."""

    async def give(*links):
        await send({"type": "http.response.early_hint", "links": links})

    if scope["query_string"] == b"split":
        await give(b"</x.css>\r\nX-Evil: 1")
    while scope["query_string"] == b"endless":
        await give(b"</style.css>; rel=preload")
    await give(b"</style.css>; rel=preload", b"</code.js>; rel=preload")
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    await give(b"</late.css>; rel=preload")
    await send({"type": "http.response.body", "body": b"whole", "more_body": True})
    await give(b"</too-late.css>")
    await send({"type": "http.response.body", "body": b"!"})


@http_only
async def trailers(scope, receive, send):
    """What the query names: no body, one of a declared length, a file, a trailer that must not be one, none at all."""
    what = scope["query_string"].decode()
    headers = [*OK, (b"trailer", b"x-sum, x-time")]
    if what == "counted":
        headers.append((b"content-length", b"6"))
    status = 204 if what == "204" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": True})
    if what == "file":
        await send({"type": "http.response.pathsend", "path": __file__})
        return
    if what not in ("empty", "204", "nothing"):
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
    await send({"type": "http.response.body"})
    name = {"framing": b"Content-Length", "split": b"x: 1\r\ny"}.get(what, b"x-sum")
    if what == "missing":
        return
    if what == "nothing":
        await send({"type": "http.response.trailers", "headers": []})
        return
    await send({"type": "http.response.trailers", "headers": [(name, b"6")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"x-time", b"1"), (b"x-time", b"2")]})


@http_only
async def piles_up(scope, receive, send):
    """Goes on behind each answer until /release; /count tells how many do."""
    piled = kept(scope, {"count": 0, "go": asyncio.Event()})
    if scope["path"] == "/count":
        await answer(send, piled["count"])
    elif scope["path"] == "/release":
        piled["go"].set()
        await answer(send, b"released")
    else:
        piled["count"] += 1
        await answer(send, b"answered")
        await piled["go"].wait()
        piled["count"] -= 1
        if scope["path"] == "/raises":
            raise ValueError("behind the answer")


@http_only
async def drips(scope, receive, send):
    """So many single bytes, each a block, without a turn for anybody else: /1000."""
    await send({"type": "http.response.start", "status": 200, "headers": OK})
    for number in range(int(scope["path"][1:])):
        await send({"type": "http.response.body", "body": b"%d" % (number % 10), "more_body": True})
    await send({"type": "http.response.body"})
