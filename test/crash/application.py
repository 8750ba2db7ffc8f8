"""What brings processes down that embed Python, each by its path."""

import atexit
import concurrent.futures
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time


def application(environ, start_response):
    way = WAYS[environ["PATH_INFO"][1:]]
    if way is not hello:
        os.write(2, b"began\n")
    answer = way(environ)
    if isinstance(answer, Stream):
        start_response("200 OK", answer.headers)
        return answer
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(answer).encode()]


def hello(environ):
    return "hello"


def loops(environ):
    while True:
        pass


def loops_for_good(environ):
    """Goes on whatever is raised in it."""
    while True:
        try:
            loops(environ)
        except BaseException:
            pass


def waits(environ):
    """Blocks in C, without the GIL."""
    time.sleep(3600)


def keeps_the_gil(environ):
    """Blocks in C as an extension module does that never gives up the GIL."""
    import ctypes

    ctypes.PyDLL(None).sleep(int(environ["QUERY_STRING"]))
    return "slept"


def reads(environ):
    return len(environ["wsgi.input"].read())


class Stream:
    """A body without an end."""

    headers = [("Content-Type", "text/plain")]

    def __iter__(self):
        return self

    def __next__(self):
        return b"s" * 65536

    def close(self):
        pass


class LoopInClose(Stream):
    """One block, and a close() without an end."""

    headers = [("Content-Type", "text/plain"), ("Content-Length", "7")]
    ended = False

    def __next__(self):
        if self.ended:
            raise StopIteration
        self.ended = True
        return b"closing"

    def close(self):
        while True:
            pass


def streams(environ):
    return Stream()


def loops_in_close(environ):
    return LoopInClose()


def recurses(environ):
    return recurses(environ)


def recurses_in_c(environ):
    """The encoder, the parser of source code and repr() recurse on the C stack."""
    nested = []
    for _ in range(100_000):
        nested = [nested]
    for way in (json.dumps, repr, lambda value: eval("(" * 5000 + ")" * 5000)):
        try:
            way(nested)
        except (RecursionError, MemoryError, SyntaxError):
            pass
    return "stopped"


def exits(environ):
    sys.exit(3)


def handles_signals(environ):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "ignored" if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN else "allowed"


def leaves_threads(environ):
    """Threads that wait, loop, and end with the process."""
    threading.Thread(target=time.sleep, args=(3600,)).start()
    threading.Thread(target=loops, args=(None,)).start()
    threading.Thread(target=loops, args=(None,), daemon=True).start()
    return "left"


def forks(environ):
    """Python refuses it in an interpreter with a GIL of its own."""
    try:
        child = os.fork()
    except RuntimeError:
        return "refused"
    if child == 0:
        os._exit(3)
    return os.waitpid(child, 0)[1] >> 8


def runs_a_command(environ):
    return subprocess.run(["echo", "said"], capture_output=True, check=True).stdout.decode().strip()


def maps_in_processes(environ):
    context = multiprocessing.get_context(environ["QUERY_STRING"])
    try:
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            return list(pool.map(abs, [-1, -2]))
    except RuntimeError as error:
        return "refused" if "fork" in str(error) else error


def dumps_tracebacks(environ):
    """faulthandler refuses to be loaded by an interpreter with a GIL of its own."""
    try:
        import faulthandler
    except ImportError:
        return "refused"
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        faulthandler.dump_traceback_later(0.05, file=file)
        time.sleep(0.1)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.enable(file)
        faulthandler.disable()
        return "dumped" if file.tell() > 0 else "empty"


def registers_an_exit_handler(environ):
    atexit.register(print, "an exit handler ran", file=sys.stderr, flush=True)
    return "registered"


WAYS = {
    way.__name__: way
    for way in (
        hello,
        loops,
        loops_for_good,
        waits,
        keeps_the_gil,
        reads,
        streams,
        loops_in_close,
        recurses,
        recurses_in_c,
        exits,
        handles_signals,
        leaves_threads,
        forks,
        runs_a_command,
        maps_in_processes,
        dumps_tracebacks,
        registers_an_exit_handler,
    )
}
