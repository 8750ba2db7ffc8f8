"""[6] A worker thread's end of the gateway for Python applications: what it is started with, and each request.

Requests come in and answers go out through memory that the main thread shares (rings.py). JavaScript is called for what is
left: `call()` does what the desk asks for, a buffer that both sides see (calls.ts). `tell()` wakes the main thread (waker.py).
"""

import json
import sys
import threading
from codecs import latin_1_decode
from io import BytesIO
from os import close
from threading import get_ident
from time import perf_counter_ns

from .bell import Sleeper, make_bell
from .failures import ClientGone, LidoTimeout, LoadError, ProtocolError, describe_failure, explain
from .head import build_hints
from .interrupts import refuse_all_frames, workers
from .loader import load_application, shared
from .log import voices
from .output import captures, run_captured
from .prepare import prepare
from .response import Response
from .rings import AnswerWriter, ChunkReader, RequestReader, make_fence, unpack
from .signals import keep_signals
from .speaker import Speaker
from .streams import ErrorStream, FileWrapper, open_input
from .wire import (
    ACKED,
    AWAIT_CHUNK,
    AWAIT_FILE,
    BODY_WINDOW,
    DESK_HEADER,
    FETCH,
    FILE_REFUSED,
    FIRST_GUESS_NS,
    GONE,
    MAX_BLOCK,
    MAX_HEAD,
    SERVICE_TIME,
    SESSION_WORDS,
    SLOT_BITS,
    SLOT_WORDS,
)

_MAX_CACHED = 512
# Characters of all names of header fields: browsers send a tenth of that, and whoever makes them up may send a hundred of 8 KB.
_MAX_CACHED_SIZE = 4096
_MODULO = 0xFFFFFFFF
_SLOT_MASK = (1 << SLOT_BITS) - 1
# So often at most the main thread is told that a body in a file is being read.
_SIGN_NS = 100_000_000
# A posted request's body comes in chunks.
_NO_BODY = 0xFFFFFFFF


class Worker(Speaker):
    """One worker thread's end of the gateway: its application, its rings, the request that it runs."""

    # They lie side by side in memory: after each call of the application the processor's caches have little of this left.
    __slots__ = (
        *("environ", "application", "context", "timeout", "errors", "captures", "labels", "known"),
        *("chunks", "sleeper", "bell", "hinted", "file", "has_asked", "consumed", "signed_at"),
    )

    def __init__(self, constants, multithread, multiprocess, run_once):
        super().__init__()
        self.errors = ErrorStream(self)
        self.environ = {
            **constants,
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.errors": self.errors,
            "wsgi.early_hints": self.give_hints,
        }
        self.application = None
        self.context = None
        # Seconds, for the message that names it.
        self.timeout = ""
        # What the application writes becomes lines of the log, beside these.
        self.captures = captures()
        self.labels = {}
        # By the keys on the wire, joined: the keys, and an environ to copy.
        self.known = {}
        self.chunks = self.sleeper = None
        self.bell = -1
        # Bytes of early hints, and of which request.
        self.hinted = (0, 0)
        # What the running request's body is read from, where it lies in a file.
        self.file = None
        self.begin(0)

    def attach(self, control, requests, bodies, answers):
        """Takes the memory that is shared with the main thread."""
        self.words = words = control.cast("I")
        fence = make_fence()
        self.requests = RequestReader(words, requests, fence)
        self.chunks = ChunkReader(words, bodies, fence)
        self.answers = AnswerWriter(words, answers, fence)
        self.sleeper = Sleeper(words, fence, self.bell)
        words[SERVICE_TIME] = FIRST_GUESS_NS

    def serve(self):
        """Answers requests, and sleeps in between. Returns where none has come for a while, or the session is to end."""
        requests = self.requests
        self.sleeper.give_sign()
        while True:
            self.ended = perf_counter_ns()
            taken = requests.take()
            while taken is not None:
                request, environ, body = taken
                self.handle(request, environ, body)
                if self.meter is not None and self.meter.is_stale:
                    self.tell_now()
                    self.meter.look()
                    self.ended = perf_counter_ns()
                taken = requests.take()
            requests.give_back()
            self.tell_now()
            if not self.sleeper.sleep(requests.read):
                return

    def begin(self, request):
        """What is the same at the beginning of each request; 0 for none."""
        self.request = request
        slot = SESSION_WORDS + (request & _SLOT_MASK) * SLOT_WORDS
        self.acked = slot + ACKED
        self.gone = slot + GONE
        # Bytes of blocks, modulo 2^32.
        self.sent = 0
        # The ring had no room for a part of the answer: what follows must not overtake that, and goes by messages, too.
        self.is_posted = False
        self.has_asked = False
        # Bytes of the request's body that were read and not told of.
        self.consumed = 0
        # When the main thread was last told that a body in a file is being read.
        self.signed_at = 0
        if request and self.meter is not None:
            self.meter.begin()

    def handle(self, request, environ, body):
        """Answers a request. Whatever happens, it is ended once."""
        self.begin(request)
        response = Response(self, request)
        try:
            if environ is None:
                environ, body = self.fetch()
            environ = self.build_environ(environ)
            environ["wsgi.input"] = BytesIO(body) if type(body) is bytes else open_input(self, body)
            # Context variables last for their request; a copy takes the same short time whatever is in it.
            context = self.context.copy()
            if self.captures:
                context.run(run_captured, response.run, environ)
            else:
                context.run(response.run, environ)
        except BaseException as error:
            self.interruptible = 0
            if self.interrupting:
                self.absorb_interrupt()
            response.fail(error)
        finally:
            self.request = 0
            if self.file is not None:
                self.file.close()
                self.file = None

    def give_up(self):
        """An exception got out of serve(): ends the request that it belongs to."""
        self.interruptible = 0
        if self.request:
            self.fail("LIDO_APPLICATION_RAISED", ("the gateway failed, too: the log says how",), "")
            self.request = 0

    def build_environ(self, wire):
        joined, _, values = wire.partition("\0\0")
        known = self.known.get(joined)
        if known is None:
            known = self.learn_keys(joined)
        keys, template = known
        environ = template.copy()
        environ.update(zip(keys, values.split("\0")))
        return environ

    def learn_keys(self, joined):
        """These keys, and an environ that has them: to copy that is to have room for all, and what is the same for each request."""
        keys = tuple(joined.split("\0"))
        known = keys, {**self.environ, **dict.fromkeys(keys), "wsgi.input": None}
        if len(self.known) < _MAX_CACHED and len(joined) <= _MAX_CACHED_SIZE:
            self.known[joined] = known
        return known

    def fetch(self):
        """Environ and body of a request for which the ring had no room."""
        self.ask(FETCH)
        desk = self.desk
        _, _, environ_size, body_size = unpack(desk)
        body = DESK_HEADER + environ_size
        environ = latin_1_decode(desk[DESK_HEADER:body])[0]
        return environ, None if body_size == _NO_BODY else bytes(desk[body : body + body_size])

    def give_hints(self, headers):
        """environ["wsgi.early_hints"], as gunicorn has it: 103, with these fields. Of no use once the head is out. RFC 8297."""
        self.check_thread(self.request)
        hints = build_hints(headers)
        request, size = self.hinted
        size = len(hints) + (size if request == self.request else 0)
        if size > MAX_HEAD:
            raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
        self.hinted = (self.request, size)
        if hints:
            inside = self.enter_gateway()
            self.say("hint", hints.decode("latin-1"))
            self.return_to_application(inside)

    def leave_file(self, head, fd, position, length):
        """Lets the main thread send the file; false where it cannot open it."""
        self.say("file", head.decode("latin-1"), fd, position, length)
        self.ask(AWAIT_FILE)
        words = self.words
        if words[self.acked] != FILE_REFUSED:
            return True
        words[self.acked] = 0
        return False

    def part_from_fork(self, end):
        """This is a process that the application forked off: what it returns or raises is its `end()`, and nobody's answer."""
        self.meter = None
        self.__class__ = _ForkedWorker
        _ForkedWorker.end = staticmethod(end)

    def check_thread(self, request):
        """The callbacks belong to this worker's thread: from another one they would bring the process to a halt."""
        if get_ident() != self.thread:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", threading.current_thread().name))
        if self.request != request:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", "its request is over"))

    def enter_gateway(self):
        """The application has called the gateway, which is not interrupted. Returns what return_to_application() takes."""
        request = self.interruptible
        self.interruptible = 0
        if self.interrupting:
            self.absorb_interrupt()
        return request

    def return_to_application(self, request):
        """Raises what came meanwhile. 0 for a call that came from the gateway itself."""
        if request:
            self.interruptible = request
            if self.timed_out == request:
                raise LidoTimeout

    def log(self, text):
        inside = self.enter_gateway()
        self.say("log", "error", text.encode("utf-8", "backslashreplace")[:MAX_BLOCK].decode("utf-8", "ignore"))
        self.return_to_application(inside)

    def read_chunk(self, request):
        """The next chunk of the body, empty at its end; there until the next call. Blocks without holding the GIL."""
        self.check_thread(request)
        inside = self.enter_gateway()
        if not self.has_asked:
            self.has_asked = True
            self.say("read")
        chunk = self.chunks.take(request)
        while chunk is None:
            self.tell_consumed(0)
            if self.is_gone():
                self.return_to_application(inside)
                raise ClientGone("the client is gone")
            self.ask(AWAIT_CHUNK)
            chunk = self.chunks.take(request)
        self.tell_consumed(len(chunk))
        self.return_to_application(inside)
        return chunk

    def show_sign(self, size):
        """So many bytes of a body in a file were read: who reads is at work, and its request is not overdue."""
        self.consumed += size
        now = perf_counter_ns()
        if now - self.signed_at >= _SIGN_NS:
            self.signed_at = now
            inside = self.enter_gateway()
            self.say("credit", self.consumed)
            self.consumed = 0
            self.return_to_application(inside)

    def tell_consumed(self, size):
        """In large steps: the main thread would be woken for every chunk. Short ones count for what they take up in the ring."""
        self.consumed += size
        if self.chunks.passed >= BODY_WINDOW // 2:
            self.say("credit", self.consumed)
            self.consumed = self.chunks.passed = 0


class _ForkedWorker(Worker):
    """The same in a process that the application forked off, where nobody takes what it says."""

    __slots__ = ()

    end = None

    def log(self, text):
        print(text, file=sys.stderr)

    def say(self, *_message):
        pass

    def put(self, *_record):
        self.end()

    ask = fail = put


def start(settings, call, desk):
    """
    Makes this thread's worker. The application is the one that all threads share, or is loaded here, for this interpreter
    alone. Returns the worker, None where that failed, and JSON: {"thread", "bell"}, or {"failure"}.
    """
    worker = Worker(settings["constants"], settings["multithread"], settings["multiprocess"], settings["run_once"])
    worker.timeout = str(settings["timeout"])
    worker.state = settings["state"]
    worker.call, worker.desk = call, desk
    worker.labels = settings["labels"]
    voices[worker.thread] = worker.log
    if settings["tellsManner"]:
        from .meter import Meter, pass_gil_sooner

        worker.meter = Meter()
    if settings["isolated"]:
        refuse_all_frames()
    if settings["shared"]:
        application, worker.context = shared[settings["shared"]]
    else:
        prepare(settings["messages"], settings["log_fd"])
        worker.captures = captures()
        try:
            application, worker.context, _ = load_application(settings)
        except LoadError as error:
            return None, json.dumps({"failure": describe_failure(error)})
    worker.application = _wrap_validator(application) if settings["validate"] else application
    worker.bell, rope = make_bell()
    workers[worker.thread] = worker
    if worker.meter is not None:
        pass_gil_sooner(len(workers))
    return worker, json.dumps({"thread": worker.thread, "bell": rope})


def _wrap_validator(application):
    from wsgiref.validate import validator

    return validator(application)


def forget(worker):
    """The worker's thread ends, and with it the buffers; what an application has kept of the gateway fails from now on."""
    workers.pop(worker.thread, None)
    voices.pop(worker.thread, None)
    if worker.meter is not None:
        worker.meter.close()
    worker.thread = worker.call = worker.tell = worker.desk = worker.words = None
    worker.requests = worker.chunks = worker.answers = worker.sleeper = None
    # They hold the worker: that would keep the application past the session's end.
    worker.environ = worker.known = worker.errors = None
    close(worker.bell)
