"""What an application sees of the threads that it runs in, and what it may start from them."""

import asyncio
import concurrent.futures
import contextvars
import hashlib
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading

four = threading.Barrier(4)
local = threading.local()
hashing = set()
guest = contextvars.ContextVar("guest", default="nobody")
house = contextvars.ContextVar("house", default="unset")
house.set("set at import")


def respond(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(text).encode()]


def meets_three_others(environ, start_response):
    """Answers once four requests run at the same time."""
    four.wait(10)
    return respond(start_response, threading.get_ident())


def hashes(environ, start_response):
    """Computes without the GIL. Says how many did so at once, at most, while it was about it."""
    most = 0
    hashing.add(threading.get_ident())
    for _ in range(20):
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3000)
        most = max(most, len(hashing))
    hashing.discard(threading.get_ident())
    return respond(start_response, most)


def tells_the_interval(environ, start_response):
    return respond(start_response, sys.getswitchinterval())


def keeps_a_connection(environ, start_response):
    """A connection to a database for each thread: SQLite's refuse to be used from another one."""
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(":memory:")
        local.connection.execute("CREATE TABLE visits (path)")
    local.connection.execute("INSERT INTO visits VALUES (?)", [environ["PATH_INFO"]])
    (visits,) = local.connection.execute("SELECT COUNT(*) FROM visits").fetchone()
    return respond(start_response, visits)


class Farewell:
    def __init__(self, path):
        self.path = path

    def __del__(self):
        with open(self.path, "w") as file:
            file.write("gone")


def leaves_with_its_thread(environ, start_response):
    """What a thread keeps for itself is finalised when the thread ends; the query names the file that tells so."""
    local.farewell = Farewell(environ["QUERY_STRING"])
    return respond(start_response, os.path.exists(environ["QUERY_STRING"]))


class names_its_guest:
    """Sets a context variable, and reads it while blocks are made and in close()."""

    def __init__(self, environ, start_response):
        self.first = f"{guest.get()}, {house.get()}"
        guest.set(environ["QUERY_STRING"])
        start_response("200 OK", [("Content-Type", "text/plain")])

    def __iter__(self):
        yield self.first.encode()
        yield f"; {guest.get()}".encode()

    def close(self):
        print(f"closed for {guest.get()}", file=sys.stderr)


def main_thread(environ):
    return threading.current_thread() is threading.main_thread(), threading.main_thread().is_alive()


def signal_handler(environ):
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    except ValueError as error:
        return error


def event_loop(environ):
    return asyncio.run(asyncio.sleep(0, "slept"))


def child_of_event_loop(environ):
    async def run():
        child = await asyncio.create_subprocess_exec("echo", "hi", stdout=subprocess.PIPE)
        return (await child.communicate())[0]

    return asyncio.run(run())


def thread_pool(environ):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(abs, [-1, -2, -3]))


def process_pool(environ):
    context = multiprocessing.get_context(environ["QUERY_STRING"])
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(abs, [-1, -2, -3]))


def child(environ):
    return subprocess.run(["echo", "hi"], capture_output=True).stdout


def fork(environ):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"from the child")
        os._exit(3)
    os.close(writer)
    with open(reader, "rb") as pipe:
        return pipe.read(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


WAYS = {
    way.__name__: way
    for way in (
        main_thread,
        signal_handler,
        event_loop,
        child_of_event_loop,
        thread_pool,
        process_pool,
        child,
        fork,
    )
}


def starts_something(environ, start_response):
    return respond(start_response, WAYS[environ["PATH_INFO"][1:]](environ))
