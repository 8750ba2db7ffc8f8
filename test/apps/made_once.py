"""Applications that may be made only once in a process, and that keep what all of its threads need."""

import asyncio
import itertools
import threading
import time

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
imported_by = threading.current_thread()
has_event_loop = asyncio.get_event_loop() is loop
#: What background threads that were started at import have counted.
started = threading.Semaphore(0)
threading.Thread(target=started.release, daemon=True).start()
registered = set()


def respond(start_response, text):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(text).encode()]


def tell_of_import(environ, start_response):
    """Whether Python's main thread imported this; whether it had an event loop; how many background threads were started."""
    threads = 0
    while started.acquire(timeout=0.2 if threads else 5):
        threads += 1
    return respond(start_response, (imported_by is threading.main_thread(), has_event_loop, threads))


def make_once(name):
    """As prometheus_client does, a name that is taken is refused."""
    if name in registered:
        raise ValueError(f"Duplicated timeseries in CollectorRegistry: {name}")
    registered.add(name)
    return Rooms()


class Rooms:
    """A chat by polling, as Flask-SocketIO's: who joins gets a number, which every thread has to know."""

    def __init__(self):
        self.numbers = itertools.count(1)
        self.guests = {}
        self.meeting = threading.Barrier(4)

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/join":
            number = str(next(self.numbers))
            self.guests[number] = threading.get_ident()
            return respond(start_response, number)
        if path == "/meet":
            # Four requests at once, so that four threads have answered.
            self.meeting.wait(10)
            return respond(start_response, threading.get_ident())
        if path == "/sleep":
            time.sleep(2.5)
        return respond(start_response, environ["QUERY_STRING"] in self.guests)
