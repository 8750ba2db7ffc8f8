"""Tiny applications named by behaviour, one for each rule of the gateway."""

import os
import sys
import threading
import time

TEXT = [("Content-Type", "text/plain")]
closed = []


class Closing:
    """An iterable that notes each close()."""

    def __init__(self, blocks, error=None):
        self.blocks = blocks
        self.error = error

    def __iter__(self):
        return iter(self.blocks)

    def close(self):
        closed.append(1)
        if self.error is not None:
            raise self.error


def computes(environ, start_response):
    start_response("200 OK", TEXT)
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        sum(range(100))
    return [b"done"]


def computes_until(environ, start_response):
    """Computes until there is the file that the query names, and gives up the GIL for a moment each time it looks."""
    path = environ["QUERY_STRING"]
    with open(os.path.join(os.path.dirname(path), "begun"), "w"):
        pass
    while not os.path.exists(path):
        sum(range(20_000))
    start_response("200 OK", TEXT)
    return [b"done"]


def waits(environ, start_response):
    start_response("200 OK", TEXT)
    time.sleep(0.03)
    return [b"done"]


def one_block(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"hello"]


def tuple_of_one(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"hello",)


def empty_list(environ, start_response):
    start_response("204 No Content", [])
    return []


def two_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one", b"", b"two"]


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b""
    yield b"one"
    yield b"two"


def lazy(environ, start_response):
    yield b""
    start_response("201 Created", TEXT)
    yield b"late"


def writer(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    write(b"")
    return [b"returned"]


def large_first_block(environ, start_response):
    start_response("200 OK", TEXT)
    yield bytes(range(256)) * 4096
    yield b"end"


def large_one_block(environ, start_response):
    start_response("200 OK", TEXT)
    return [bytes(range(256)) * 4096]


def large_not_modified(environ, start_response):
    start_response("304 Not Modified", [])
    return [b"x" * 300000]


def all_sizes(environ, start_response):
    start_response("200 OK", TEXT)
    for size in (1, 16384, 16385, 131071, 131072, 131073, 262145):
        yield bytes([size % 251]) * size


def no_start_response(environ, start_response):
    return [b"hello"]


def no_start_response_nor_body(environ, start_response):
    return iter(())


def second_start_response(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("404 Not Found", TEXT)
    return [b""]


def replaced_head(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise ValueError("early")
    except ValueError:
        start_response("500 Oops", [("X-Replaced", "yes")], sys.exc_info())
    return [b"sorry"]


def late_exc_info(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"part"
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Oops", TEXT, sys.exc_info())
    yield b"never"


def raises(environ, start_response):
    raise ValueError("broken \u20ac")


def raises_midway(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        yield b"part"
        raise KeyError("midway")

    return Closing(blocks())


def leaves(environ, start_response):
    sys.exit(7)


def interrupts(environ, start_response):
    raise KeyboardInterrupt


def text_block(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text"]


def bytearray_block(environ, start_response):
    start_response("200 OK", TEXT)
    yield bytearray(b"no")


def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


def returns_text(environ, start_response):
    start_response("200 OK", TEXT)
    return "bare"


def returns_bytes(environ, start_response):
    start_response("200 OK", TEXT)
    return b"bare"


def bad_head(environ, start_response):
    """The status and the header come from the query string, parted by a vertical bar."""
    status, name, value = eval(environ["QUERY_STRING"])
    start_response(status, [(name, value)])
    return [b""]


def odd_headers(environ, start_response):
    start_response("200 OK", eval(environ["QUERY_STRING"]))
    return [b""]


def closes(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing([b"a", b"b"])


def close_fails(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing([b"whole"], RuntimeError("in close"))


def count_closed(environ, start_response):
    start_response("200 OK", TEXT)
    count = len(closed)
    closed.clear()
    return [str(count).encode()]


def endless(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        while True:
            yield b"x" * 65536

    return Closing(blocks())


def echo(environ, start_response):
    start_response("200 OK", TEXT)
    return [environ["wsgi.input"].read()]


def lines(environ, start_response):
    stream = environ["wsgi.input"]
    parts = [stream.readline(), stream.readline(2), stream.read(3), stream.readlines(1), list(stream), stream.read()]
    start_response("200 OK", TEXT)
    return [repr(parts).encode()]


kept_inputs = []


def keeps_its_input(environ, start_response):
    kept_inputs.append(environ["wsgi.input"])
    start_response("200 OK", TEXT)
    return [environ["wsgi.input"].read()]


def reads_kept_input(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        return [kept_inputs.pop().read()]
    except ValueError as error:
        return [type(error).__name__.encode()]


def raises_after_reading(environ, start_response):
    environ["wsgi.input"].read(1)
    raise RuntimeError


def catches_client_gone(environ, start_response):
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        environ["wsgi.errors"].write(f"caught {type(error).__name__}\n")
    start_response("200 OK", TEXT)
    return [b""]


def logs(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("first\nsec")
    errors.writelines(["ond\n", "\u20ac"])
    print("printed")
    start_response("200 OK", TEXT)
    return [b""]


def shows_environ(environ, start_response):
    assert type(environ) is dict
    keys = ["wsgi.version", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once", "wsgi.input_terminated", "SERVER_SOFTWARE", "PATH_INFO", "HTTP_X"]
    start_response("200 OK", TEXT)
    return [repr([environ.get(key) for key in keys]).encode("latin-1")]


def file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(__file__, "rb"), 100)


def foreign_thread(environ, start_response):
    write = start_response("200 OK", TEXT)
    caught = []

    def run():
        for act in (lambda: write(b"x"), lambda: environ["wsgi.errors"].write("to stderr\n")):
            try:
                act()
            except RuntimeError as error:
                caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return ["; ".join(caught).encode()]


kept = []


def keeps_write(environ, start_response):
    """Keeps write() beyond its request, and calls the one kept before."""
    message = b"nothing"
    if kept:
        try:
            kept.pop()(b"late")
        except RuntimeError as error:
            message = str(error).encode()
    kept.append(start_response("200 OK", TEXT))
    return [message]


def thread_identity(environ, start_response):
    start_response("200 OK", TEXT)
    return [str(threading.get_ident()).encode()]


def spins(environ, start_response):
    environ["wsgi.errors"].write("spinning\n")
    while True:
        pass


def spins_in_close(environ, start_response):
    start_response("200 OK", TEXT)

    class Result(Closing):
        def close(self):
            environ["wsgi.errors"].write("spinning\n")
            while True:
                pass

    return Result([b"whole", b"!"])


def swallows_once(environ, start_response):
    try:
        # Whoever reads this may be as quick as to interrupt what says so.
        environ["wsgi.errors"].write("spinning\n")
        while True:
            pass
    except BaseException:
        environ["wsgi.errors"].write("swallowed\n")
    while True:
        pass


def spins_for_a_while(environ, start_response):
    """About as long as an interrupt takes to come: the end races with it."""
    environ["wsgi.errors"].write("spinning\n")
    end = time.perf_counter() + float(environ["QUERY_STRING"])
    while time.perf_counter() < end:
        pass
    start_response("200 OK", TEXT)
    return Closing([b"a", b"b"])


def sleeps(environ, start_response):
    environ["wsgi.errors"].write("sleeping\n")
    time.sleep(600)


def deep(environ, start_response):
    def dive(depth):
        return dive(depth + 1)

    try:
        dive(0)
    except RecursionError:
        pass
    import json

    nested = "[" * 900 + "]" * 900
    json.dumps(json.loads(nested))
    start_response("200 OK", TEXT)
    return [b"surfaced"]


def by_path(environ, start_response):
    """Any of the others, by name."""
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)


def create(name, *, twice=False):
    return globals()[name]


not_callable = 7
