"""Applications that do what no application should; the JavaScript ones in hostile.mjs are the same in spirit."""

import sys

TEXT = [("Content-Type", "text/plain")]


def begin(start_response):
    return start_response("200 OK", list(TEXT))


class Unreadable:
    def __repr__(self):
        raise ValueError("no text")


class Changing(tuple):
    """Another header each time that it is looked at."""

    looks = 0

    def __iter__(self):
        self.looks += 1
        return iter(("X-A", "b") if self.looks == 1 else ("X-A", "b\nX-Injected\n1"))


class Boasting(bytes):
    def __len__(self):
        return 10**9


class Undecided(bytes):
    def __bool__(self):
        raise ValueError("neither true nor false")


class Body:
    def __init__(self, iterate, close=lambda: None):
        self.iterate = iterate
        self.close = close

    def __iter__(self):
        return self.iterate()


def fail(error):
    raise error


class Misprinted(Exception):
    def __str__(self):
        raise ValueError("no text")


def raisesWithoutText(environ, start_response):
    raise Misprinted


def raisesOddSyntaxError(environ, start_response):
    raise SyntaxError("odd", ("file", "line", None, 5))


def raisesItsOwnCause(environ, start_response):
    error = ValueError("round")
    error.__cause__ = error
    raise error


def statusWithoutText(environ, start_response):
    start_response(Unreadable(), list(TEXT))
    return []


def headerWithoutText(environ, start_response):
    start_response("200 OK", [("X-A", Unreadable())])
    return []


def headersWithoutText(environ, start_response):
    start_response("200 OK", Unreadable())
    return []


def changingHeader(environ, start_response):
    start_response("200 OK", TEXT + [Changing(("X-A", "b"))])
    return [b"body"]


def namesLengthInValue(environ, start_response):
    start_response("200 OK", TEXT + [("Access-Control-Expose-Headers", "Content-Length"), ("X-A", "b")])
    return [bytes(400_000)]


def boastingBlock(environ, start_response):
    begin(start_response)
    return [Boasting(b"body")]


def boastingBlocks(environ, start_response):
    begin(start_response)
    return [Boasting(b"bo"), Undecided(b"dy")]


def iterationFails(environ, start_response):
    begin(start_response)
    return Body(lambda: fail(TypeError("of its own")))


def iterationIsNone(environ, start_response):
    begin(start_response)
    return Body(lambda: 5)


def closeFailsToo(environ, start_response):
    begin(start_response)
    return Body(lambda: fail(ValueError("of its own")), lambda: fail(SystemExit(1)))


kept = {}


def keeps(environ, start_response):
    kept.update(start_response=start_response, write=begin(start_response))
    return [b"kept"]


def writesLate(environ, start_response):
    kept["write"](b"late")
    return []


def startsLate(environ, start_response):
    begin(kept["start_response"])
    return []


def replacesLate(environ, start_response):
    try:
        fail(ValueError("too late"))
    except ValueError:
        kept["start_response"]("200 OK", TEXT, sys.exc_info())
    return []


def application(environ, start_response):
    """The deed that the path names."""
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)
