"""[6] A worker thread's end of the gateway for Python applications: what it is started with, and each request.

What crosses to JavaScript goes through two byte buffers and one callback: `inbox` holds what JavaScript wrote (a request,
or a chunk of its body), `outbox` what this package wrote (a head, a block, a line for the log), and `post()` says that the
outbox is ready. See wire.py.
"""

import io
import json
import sys
import threading
from codecs import latin_1_decode
from threading import get_ident

from . import failures
from .response import Response
from .failures import ClientGone, LoadError, ProtocolError, describe_failure, explain
from .interrupts import Interruptible, refuse_all_frames, workers
from .loader import load_application, shared
from .log import voices
from .signals import keep_signals
from .streams import ErrorStream, FileWrapper, open_chunked
from .wire import BLOCK, CLIENT_GONE, FAIL, HEADER, LOG, OK, READ, pack, pack_manner, unpack

_MAX_CACHED = 512


class Worker(Interruptible):
    """One worker thread's end of the gateway: its application, its buffers, the request that it runs."""

    def __init__(self, constants, multithread, multiprocess, run_once):
        super().__init__()
        self.environ = {
            **constants,
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }
        self.application = None
        self.context = None
        # Seconds, for the message that names it.
        self.timeout = ""
        self.errors = None
        self.keys = {}
        self.meter = None

    def connect(self, post, inbox, outbox):
        """Takes the callback and the buffers; called again when a buffer had to grow."""
        self.post = post
        self.inbox = inbox
        self.outbox = outbox
        self.room = len(outbox) - HEADER

    def handle(self):
        """Answers the request in the inbox. Whatever happens, the outbox gets the end of it."""
        inbox = self.inbox
        self.request, environ_size, body_size, delay = unpack(inbox)
        meter = self.meter
        if meter is not None:
            meter.begin(delay)
        body = HEADER + environ_size
        environ = self.build_environ(latin_1_decode(inbox[HEADER:body])[0])
        if body_size < 0:
            environ["wsgi.input"] = open_chunked(self)
        else:
            environ["wsgi.input"] = io.BytesIO(inbox[body : body + body_size])
        self.errors = environ["wsgi.errors"] = ErrorStream(self)
        response = Response(self)
        try:
            # Context variables last for their request; a copy takes the same short time whatever is in it.
            self.context.copy().run(response.run, environ)
        except BaseException as error:
            self.interruptible = 0
            if self.interrupting:
                self.absorb_interrupt()
            response.fail(error)
        finally:
            self.request = 0
            if meter is not None:
                pack_manner(self.outbox, meter.end())

    def build_environ(self, wire):
        joined, _, values = wire.partition("\0\0")
        keys = self.keys.get(joined)
        if keys is None:
            keys = tuple(joined.split("\0"))
            if len(self.keys) < _MAX_CACHED:
                self.keys[joined] = keys
        environ = self.environ.copy()
        environ.update(zip(keys, values.split("\0")))
        return environ

    def send(self, kind, head, block):
        """Hands a block to JavaScript, a long one in pieces; returns once the window has room again. False: client gone."""
        outbox = self.outbox
        size = len(head)
        if size > self.room // 2:
            raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
        outbox[HEADER : HEADER + size] = head
        with memoryview(block) as view:
            sent = 0
            while True:
                piece = view[sent : sent + self.room - size]
                start = HEADER + size
                outbox[start : start + len(piece)] = piece
                pack(outbox, 0, kind, size, len(piece), 0)
                sent += len(piece)
                if not self.exchange_words():
                    return False
                if sent >= len(block):
                    return True
                kind, size = BLOCK, 0

    def exchange_words(self):
        """Lets JavaScript read the outbox; false when the client is gone."""
        self.post()
        return unpack(self.inbox)[0] != CLIENT_GONE

    def check_thread(self, request):
        """The callback belongs to this worker's thread: from another one it would bring the process to a halt."""
        if get_ident() != self.thread:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", threading.current_thread().name))
        if self.request != request:
            raise RuntimeError(explain("LIDO_WRONG_THREAD", "its request is over"))

    def log(self, text):
        data = text.encode("utf-8", "backslashreplace")[: self.room]
        self.outbox[HEADER : HEADER + len(data)] = data
        pack(self.outbox, 0, LOG, len(data), 0, 0)
        self.post()

    def read_chunk(self, request):
        """The next chunk of the body, empty at its end. Blocks without holding the GIL."""
        self.check_thread(request)
        pack(self.outbox, 0, READ, 0, 0, 0)
        if not self.exchange_words():
            raise ClientGone("the client is gone")
        size = unpack(self.inbox)[1]
        return bytes(self.inbox[HEADER : HEADER + size])


def start(settings, post, inbox, outbox):
    """
    Makes this thread's worker. The application is the one that all threads share, or is loaded here, for this interpreter
    alone. Returns the worker; a failure is left in the outbox instead.
    """
    worker = Worker(
        settings["constants"], settings["multithread"], settings["multiprocess"], settings["run_once"]
    )
    worker.timeout = str(settings["timeout"])
    worker.connect(post, inbox, outbox)
    voices[worker.thread] = worker.log
    if settings["isolated"]:
        refuse_all_frames()
    if settings["tellsManner"]:
        from .meter import Meter

        worker.meter = Meter()
    if settings["shared"]:
        application, worker.context = shared[settings["shared"]]
    else:
        prepare(settings["messages"])
        try:
            application, worker.context = load_application(settings)
        except LoadError as error:
            data = json.dumps(describe_failure(error)).encode()
            outbox[HEADER : HEADER + len(data)] = data
            pack(outbox, 0, FAIL, len(data), 0, 0)
            return None
    worker.application = _wrap_validator(application) if settings["validate"] else application
    workers[worker.thread] = worker
    pack(outbox, 0, OK, worker.thread & 0x7FFFFFFF, worker.thread >> 31, 0)
    return worker


def prepare(messages):
    """What an interpreter needs before an application is imported."""
    failures.messages.update(messages)
    keep_signals()
    for stream in (sys.stdout, sys.stderr):
        # print() appears at once, as it does in a terminal.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)


def _wrap_validator(application):
    from wsgiref.validate import validator

    return validator(application)


def forget(worker):
    """The worker's thread ends, and with it the buffers; what an application has kept of the gateway fails from now on."""
    workers.pop(worker.thread, None)
    voices.pop(worker.thread, None)
    worker.thread = worker.post = worker.inbox = worker.outbox = None
