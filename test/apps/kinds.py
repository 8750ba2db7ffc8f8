"""Every kind of application that PEP 3333 knows; the JavaScript ones beside it have the same names."""
import io
import os
import sys

TEXT = [("Content-Type", "text/plain")]
FILE = os.path.join(os.path.dirname(__file__), "kinds.txt")


def list_(environ, start_response):
    start_response("200 OK", list(TEXT))
    return [b"body"]


class _Callable:
    def __call__(self, environ, start_response):
        start_response("200 OK", list(TEXT))
        return [b"body"]


callable_ = _Callable()


class classed:
    def __init__(self, environ, start_response):
        start_response("200 OK", list(TEXT))

    def __iter__(self):
        yield b"bo"
        yield b"dy"


def generator(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", list(TEXT))
    yield b"bo"
    yield b"dy"


def tuple_(environ, start_response):
    start_response("200 OK", list(TEXT))
    return (b"bo", b"dy")


def iterator(environ, start_response):
    start_response("200 OK", list(TEXT))
    return iter([b"bo", b"dy"])


class _Closing(list):
    def __init__(self, blocks, errors):
        super().__init__(blocks)
        self.errors = errors

    def close(self):
        self.errors.write("closed\n")


def closing(environ, start_response):
    start_response("200 OK", list(TEXT))
    return _Closing([b"body"], environ["wsgi.errors"])


def writing(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    write(b"bo")
    write(b"dy")
    return []


def lazy(environ, start_response):
    start_response("200 OK", list(TEXT))
    yield b""
    yield b"body"


def replacing(environ, start_response):
    start_response("200 OK", list(TEXT))
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("200 Better", list(TEXT), sys.exc_info())
    return [b"body"]


def empty_body(environ, start_response):
    start_response("204 No Content", [])
    return []


def empty_blocks(environ, start_response):
    start_response("200 OK", list(TEXT))
    return [b"", b"bo", b"", b"dy", b""]


def file(environ, start_response):
    start_response("200 OK", list(TEXT))
    return environ["wsgi.file_wrapper"](open(FILE, "rb"))


def file_like(environ, start_response):
    start_response("200 OK", list(TEXT))
    with open(FILE, "rb") as whole:
        return environ["wsgi.file_wrapper"](io.BytesIO(whole.read()), 3)


def echoing(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", list(TEXT))
    return [body or b"body"]


KINDS = {
    "list": list_,
    "callable": callable_,
    "classed": classed,
    "generator": generator,
    "tuple": tuple_,
    "iterator": iterator,
    "closing": closing,
    "writing": writing,
    "lazy": lazy,
    "replacing": replacing,
    "emptyBody": empty_body,
    "emptyBlocks": empty_blocks,
    "file": file,
    "fileLike": file_like,
    "echoing": echoing,
}


def application(environ, start_response):
    """The kind that the path names."""
    return KINDS[environ["PATH_INFO"][1:]](environ, start_response)
