"""[6] The server side of PEP 3333 for Python applications, in wsgiref's order: call, send, close.

Runs inside a worker thread of Lido. What crosses to JavaScript goes through two byte buffers and one callback:
`inbox` holds what JavaScript wrote (a request, or a chunk of its body), `outbox` what this module wrote (a head, a
block, a line for the log), and `post()` says that the outbox is ready. The first four 32-bit integers of each buffer
say what is in it.
"""

import io
import json
import sys
import threading
from codecs import latin_1_decode
from contextvars import copy_context
from struct import Struct
from threading import get_ident
from types import GeneratorType

from . import failures
from .failures import ClientGone, LidoTimeout, LoadError, ProtocolError, describe_error, explain, format_error, name_type
from .head import build_head, declare_length
from .interrupts import Interruptible, refuse_all_frames, workers
from .loader import load
from .streams import ErrorStream, FileWrapper, open_chunked

_ints = Struct("=4i")
_pack = _ints.pack_into
_unpack = _ints.unpack_from
_HEADER = 16

# What the outbox holds; the same numbers as in cpython.ts.
_RESPONSE, _HEAD, _BLOCK, _END, _FAIL, _LOG, _READ, _FILE, _WHOLE = range(1, 10)
# What post() found, in the inbox; the same numbers as in cpython.ts.
_OK, _CLIENT_GONE = 0, 1

_MAX_CACHED = 512
# A file that is smaller is read here: that is quicker than to let the main thread open it.
_SMALL_FILE = 65536

# The context variables as the import of a module left them, by its name: only one of the threads imports it.
_contexts = {}

# Their close(), where they have one, does nothing once they are exhausted.
_CLOSED_BY_THEMSELVES = (list, tuple, GeneratorType)

# An exchange's state. STARTED: the head is held back until the first block that is not empty.
_UNSTARTED, _STARTED, _SENDING, _OVER = range(4)


class Worker(Interruptible):
    """One worker thread's end of the gateway: its application, its buffers, the request that it runs."""

    def __init__(self, constants, multithread, multiprocess):
        super().__init__()
        self.environ = {
            **constants,
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }
        self.application = None
        self.context = None
        # Seconds, for the message that names it.
        self.timeout = ""
        self.errors = None
        self.keys = {}

    def connect(self, post, inbox, outbox):
        """Takes the callback and the buffers; called again when a buffer had to grow."""
        self.post = post
        self.inbox = inbox
        self.outbox = outbox
        self.room = len(outbox) - _HEADER

    def handle(self):
        """Answers the request in the inbox. Whatever happens, the outbox gets the end of it."""
        inbox = self.inbox
        self.request, environ_size, body_size, _ = _unpack(inbox)
        body = _HEADER + environ_size
        environ = self.build_environ(latin_1_decode(inbox[_HEADER:body])[0])
        if body_size < 0:
            environ["wsgi.input"] = open_chunked(self)
        else:
            environ["wsgi.input"] = io.BytesIO(inbox[body : body + body_size])
        self.errors = environ["wsgi.errors"] = ErrorStream(self)
        exchange = Exchange(self)
        try:
            # Context variables last for their request; a copy takes the same short time whatever is in it.
            self.context.copy().run(exchange.run, environ)
        except BaseException as error:
            self.interruptible = 0
            if self.interrupting:
                self.absorb_interrupt()
            exchange.fail(error)
        finally:
            self.request = 0

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
            raise ProtocolError("LIDO_405", "list: it is too large")
        outbox[_HEADER : _HEADER + size] = head
        with memoryview(block) as view:
            sent = 0
            while True:
                piece = view[sent : sent + self.room - size]
                start = _HEADER + size
                outbox[start : start + len(piece)] = piece
                _pack(outbox, 0, kind, size, len(piece), 0)
                sent += len(piece)
                if not self.exchange_words():
                    return False
                if sent >= len(block):
                    return True
                kind, size = _BLOCK, 0

    def exchange_words(self):
        """Lets JavaScript read the outbox; false when the client is gone."""
        self.post()
        return _unpack(self.inbox)[0] != _CLIENT_GONE

    def check_thread(self, request):
        """The callback belongs to this worker's thread: from another one it would bring the process to a halt."""
        if get_ident() != self.thread:
            raise RuntimeError(explain("LIDO_307", threading.current_thread().name))
        if self.request != request:
            raise RuntimeError(explain("LIDO_307", "its request is over"))

    def log(self, text):
        data = text.encode("utf-8", "backslashreplace")[: self.room]
        self.outbox[_HEADER : _HEADER + len(data)] = data
        _pack(self.outbox, 0, _LOG, len(data), 0, 0)
        self.post()

    def read_chunk(self, request):
        """The next chunk of the body, empty at its end. Blocks without holding the GIL."""
        self.check_thread(request)
        _pack(self.outbox, 0, _READ, 0, 0, 0)
        if not self.exchange_words():
            raise ClientGone("the client is gone")
        size = _unpack(self.inbox)[1]
        return bytes(self.inbox[_HEADER : _HEADER + size])


class Exchange:
    """One response as PEP 3333 lets it come about: start_response, write, blocks, failure."""

    __slots__ = ("worker", "request", "head", "state", "gone")

    def __init__(self, worker):
        self.worker = worker
        self.request = worker.request
        self.head = None
        self.state = _UNSTARTED
        self.gone = False

    def run(self, environ):
        worker = self.worker
        worker.interruptible = self.request
        result = worker.application(environ, self.start_response)
        worker.interruptible = 0
        if worker.interrupting:
            worker.absorb_interrupt()
        kind = type(result)
        if (kind is list or kind is tuple) and len(result) <= 1 and self.state == _STARTED:
            self.send_whole(result[0] if result else b"")
        else:
            self.send_all(result)

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333, "The start_response() Callable"."""
        if exc_info:
            try:
                if self.state >= _SENDING:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no circular reference, as the PEP asks
        elif self.state:
            raise ProtocolError("LIDO_403")
        self.head = build_head(status, headers)
        self.state = _STARTED
        return self.write

    def write(self, block):
        """PEP 3333, "The write() Callable"; the iterable's blocks go the same way."""
        worker = self.worker
        worker.check_thread(self.request)
        if type(block) is not bytes:
            block = _take_bytes(block)
        if not block or self.gone:
            return
        if self.state == _SENDING:
            self.gone = not worker.send(_BLOCK, b"", block)
        elif self.state == _STARTED:
            self.state = _SENDING
            self.gone = not worker.send(_HEAD, self.head, block)
        else:
            raise ProtocolError("LIDO_402")

    def send_whole(self, block):
        """A body of one block travels with the head, and the end of the request."""
        if type(block) is not bytes:
            block = _take_bytes(block)
        worker = self.worker
        start = _HEADER + len(self.head)
        end = start + len(block)
        outbox = worker.outbox
        if end > len(outbox):
            self.head = declare_length(self.head, len(block))
            self.write(block)
            self.end()
            return
        if worker.errors.partial:
            worker.errors.flush()
        outbox[_HEADER:start] = self.head
        outbox[start:end] = block
        # No post(): JavaScript looks at the outbox when handle() has returned.
        _pack(outbox, 0, _RESPONSE, len(self.head), len(block), 0)
        self.state = _OVER

    def send_all(self, result):
        """Each block is sent before the next is asked for; close() is called whatever happens."""
        try:
            self.send_blocks(result)
        except BaseException as error:
            self.leave_application()
            self.close(result)
            self.fail(error)
            return
        # The body is whole: should close() fail now, the client gets the body and the log the error.
        if self.state == _SENDING and not self.gone and type(result) not in _CLOSED_BY_THEMSELVES:
            self.end_body()
        self.close(result)
        if self.worker.timed_out == self.request:
            self.fail(LidoTimeout())
        else:
            self.end()

    def send_blocks(self, result):
        worker = self.worker
        if worker.timed_out == self.request:
            raise LidoTimeout
        if isinstance(result, (str, bytes)):
            raise ProtocolError("LIDO_408", name_type(result))
        if type(result) is FileWrapper and self.state == _STARTED and self.send_file(result):
            return
        worker.interruptible = self.request
        try:
            iterator = iter(result)
        except TypeError:
            # A TypeError out of the application's own __iter__ is its own error.
            if hasattr(type(result), "__iter__"):
                raise
            raise ProtocolError("LIDO_408", name_type(result)) from None
        for block in iterator:
            worker.interruptible = 0
            if worker.interrupting:
                self.leave_application()
            if worker.timed_out == self.request:
                raise LidoTimeout
            self.write(block)
            if self.gone:
                return
            worker.interruptible = self.request
        self.leave_application()
        if self.state == _UNSTARTED:
            raise ProtocolError("LIDO_402")

    def send_file(self, wrapper):
        """Leaves the body to the main thread where it is a regular file of some size; false where it goes by blocks."""
        found = wrapper.find_file()
        if found is None:
            return False
        self.head = declare_length(self.head, found[2])
        return found[2] >= _SMALL_FILE and self.leave_file(b"%d %d %d" % found)

    def leave_file(self, part):
        worker = self.worker
        start = _HEADER + len(self.head)
        worker.outbox[_HEADER:start] = self.head
        worker.outbox[start : start + len(part)] = part
        _pack(worker.outbox, 0, _FILE, len(self.head), len(part), 0)
        self.gone = not worker.exchange_words()
        is_taken = self.gone or _unpack(worker.inbox)[1] == 1
        if is_taken:
            self.state = _SENDING
        return is_taken

    def end_body(self):
        """Lets the client have the end of the body before close() runs, which may take its time."""
        worker = self.worker
        if worker.timed_out != self.request:
            _pack(worker.outbox, 0, _WHOLE, 0, 0, 0)
            worker.post()

    def leave_application(self):
        """From here on the gateway runs, which is not interrupted."""
        worker = self.worker
        worker.interruptible = 0
        if worker.interrupting:
            worker.absorb_interrupt()

    def close(self, result):
        """Called once in every path. PEP 3333, "Specification Details"."""
        worker = self.worker
        try:
            method = getattr(result, "close", None)
            if method is not None:
                worker.interruptible = self.request
                method()
        except BaseException as error:
            self.leave_application()
            worker.log(f"close() failed: {format_error(error)}")
        else:
            self.leave_application()

    def end(self):
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        if self.state == _STARTED and not self.gone:
            worker.outbox[_HEADER : _HEADER + len(self.head)] = self.head
            _pack(worker.outbox, 0, _RESPONSE, len(self.head), 0, 0)
        else:
            _pack(worker.outbox, 0, _END, 0, 0, 0)
        self.state = _OVER

    def fail(self, error):
        """Ends the request with an error: the code and the message's arguments, parted by NUL, and the traceback."""
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        if isinstance(error, ProtocolError):
            code, what = error.code, "\0".join(map(str, error.args))
        elif isinstance(error, LidoTimeout):
            code, what = "LIDO_502", worker.timeout
        else:
            code, what = "LIDO_401", describe_error(error)
        parts = [part.encode("utf-8", "backslashreplace") for part in (code, what, format_error(error))]
        room = worker.room - len(parts[0]) - 1
        what, trace = parts[1][: room // 4], parts[2][-(room * 3 // 4) :]
        head = parts[0] + b"\0" + what
        outbox = worker.outbox
        outbox[_HEADER : _HEADER + len(head)] = head
        outbox[_HEADER + len(head) : _HEADER + len(head) + len(trace)] = trace
        _pack(outbox, 0, _FAIL, len(head), len(trace), 0)
        self.state = _OVER


# ---- Called by cpython.ts and host.ts -------------------------------------------------------------------


def start(settings, post, inbox, outbox):
    """Makes this thread's worker and loads its application. Returns it; a failure is left in the outbox instead."""
    failures.messages.update(settings["messages"])
    worker = Worker(settings["constants"], settings["multithread"], settings["multiprocess"])
    worker.timeout = str(settings["timeout"])
    if settings["isolated"]:
        refuse_all_frames()
    worker.connect(post, inbox, outbox)
    try:
        for stream in (sys.stdout, sys.stderr):
            # print() appears at once, as it does in a terminal.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(line_buffering=True)
        application = load(settings["module"], settings["callable"], settings["path"], settings["spec"])
        worker.application = _wrap_validator(application) if settings["validate"] else application
        worker.context = _contexts.setdefault(settings["module"], copy_context())
    except LoadError as error:
        data = json.dumps({"code": error.code, "args": error.args, "trace": error.trace and error.trace[-16384:]}).encode()
        outbox[_HEADER : _HEADER + len(data)] = data
        _pack(outbox, 0, _FAIL, len(data), 0, 0)
        return None
    workers[worker.thread] = worker
    _pack(outbox, 0, _OK, worker.thread & 0x7FFFFFFF, worker.thread >> 31, 0)
    return worker


def _take_bytes(block):
    """A block of a class of its own as the bytes that it holds: the class may lie about their number."""
    if not isinstance(block, bytes):
        raise ProtocolError("LIDO_407", name_type(block))
    return bytes(memoryview(block))


def _wrap_validator(application):
    from wsgiref.validate import validator

    return validator(application)


def forget(worker):
    """The worker's thread ends, and with it the buffers; what an application has kept of the gateway fails from now on."""
    workers.pop(worker.thread, None)
    worker.thread = worker.post = worker.inbox = worker.outbox = None
