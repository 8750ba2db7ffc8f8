"""Tiny applications named by behaviour; applications.mjs has the same ones."""

import itertools
import json
import time
from types import SimpleNamespace
from urllib.parse import unquote

TEXT = [("Content-Type", "text/plain")]


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"Hello, world!\n"]


def showEnviron(environ, start_response):
    assert type(environ) is dict
    start_response("200 OK", TEXT)
    return ["".join(f"{key}={value}\n" for key, value in environ.items()).encode("latin-1")]


def emptyList(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def emptyText(environ, start_response):
    start_response("200 OK", TEXT)
    return ""


def severalBlocks(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"one,", b"", b"two,", b"three")


def page(environ, start_response):
    """Too long for a text, short enough to go from a worker in one piece."""
    start_response("200 OK", TEXT)
    return [b"x" * 40_000]


def largeBlock(environ, start_response):
    """More than goes from a worker in one piece."""
    start_response("200 OK", TEXT)
    return [b"x" * 300_000]


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"one,"
    yield b"two"


def lazyStart(environ, start_response):
    yield b""
    start_response("200 OK", TEXT)
    yield b"late"


def writes(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written,")
    return [b"returned"]


class classApplication:
    def __init__(self, environ, start_response):
        self.start_response = start_response

    def __iter__(self):
        self.start_response("200 OK", TEXT)
        yield b"from a class"


class Closing:
    def __init__(self, environ, blocks, on_close=lambda: None):
        self.environ, self.blocks, self.on_close = environ, blocks, on_close

    def __iter__(self):
        return self.blocks()

    def close(self):
        self.environ["wsgi.errors"].write("closed\n")
        self.on_close()


def closes(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        yield b"closing"

    return Closing(environ, blocks)


def closeFails(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        yield b"whole"

    def on_close():
        raise RuntimeError("close failed")

    return Closing(environ, blocks, on_close)


def failsBefore(environ, start_response):
    raise RuntimeError("secret failure")


def failsAfter(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        yield b"part"
        raise RuntimeError("secret failure")

    return Closing(environ, blocks)


def _exc_info(message):
    import sys

    try:
        raise RuntimeError(message)
    except RuntimeError:
        return sys.exc_info()


def excInfoBefore(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("500 Replaced", [*TEXT, ("X-Replaced", "yes")], _exc_info("replaced"))
    return [b"replaced"]


def excInfoAfter(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"part"
    start_response("500 Too Late", TEXT, _exc_info("too late"))
    yield b"never"


def startsTwice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return []


def neverStarts(environ, start_response):
    return [b"body"]


def headFromQuery(environ, start_response):
    wanted = json.loads(unquote(environ["QUERY_STRING"]))
    start_response(wanted.get("status", "200 OK"), [tuple(header) for header in wanted.get("headers", [])])
    return [block.encode("latin-1") for block in wanted.get("body", ["body"])]


def wrongBlock(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text"]


def returnsNothing(environ, start_response):
    start_response("200 OK", TEXT)


def declares(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", environ["QUERY_STRING"])])
    yield b"01234"
    yield b"56789"


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", TEXT)
    return [body]


def countBody(environ, start_response):
    size = total = 0
    while True:
        block = environ["wsgi.input"].read(10_000)
        if not block:
            break
        size += len(block)
        total = (total + sum(block)) % 65_521
    start_response("200 OK", TEXT)
    return [f"{size} {total}".encode()]


def readsLines(environ, start_response):
    stream = environ["wsgi.input"]
    first = stream.readline()
    part = stream.readline(3)
    two = stream.readlines(1)
    rest = list(stream)
    start_response("200 OK", TEXT)
    lines = [line.decode("latin-1") for line in [first, part, *two, *rest]]
    return [json.dumps(lines, separators=(",", ":")).encode()]


def ignoresBody(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"not read"]


def logs(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("first line\nsecond ")
    errors.writelines(["line\n", "no end"])
    errors.flush()
    start_response("200 OK", TEXT)
    return [environ["lido.request_id"].encode()]


def statusFromPath(environ, start_response):
    start_response(environ["PATH_INFO"][1:] + " Reason Text", TEXT)
    return [b"body"]


def stream(environ, start_response):
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", TEXT)

    def blocks():
        left = size
        while left > 0:
            yield b"x" * min(left, 65_536)
            left -= 65_536

    return Closing(environ, blocks)


def misbehaves(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/loop":
        while True:
            pass
    if path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    if path == "/exit":
        raise SystemExit(7)
    if path == "/recurse":

        def recurse():
            recurse()

        recurse()
    if path == "/endless":
        length = environ["QUERY_STRING"]
        start_response("200 OK", [*TEXT, ("Content-Length", length)] if length else TEXT)
        return itertools.repeat(b"ab")
    return hello(environ, start_response)


def hints(environ, start_response):
    give = environ["wsgi.early_hints"]
    if environ["QUERY_STRING"] == "split":
        give([("Link", "</x.css>\r\nX-Evil: 1")])
    if environ["QUERY_STRING"] == "length":
        give([("Content-Length", "3")])
    while environ["QUERY_STRING"] == "endless":
        give([("Link", "</style.css>; rel=preload")])
    give([("Link", "</style.css>; rel=preload"), ("Link", "</code.js>; rel=preload")])
    start_response("200 OK", TEXT)
    give([("Link", "</late.css>; rel=preload")])
    yield b"whole"
    give([("Link", "</too-late.css>")])
    yield b"!"


site = SimpleNamespace(app=hello)


def createApp(name):
    def application(environ, start_response):
        start_response("200 OK", TEXT)
        return [f"made with {name}".encode()]

    return application
