"""[6] The server side of PEP 3333 for Python applications, in wsgiref's order: call, send, close.

Runs inside a worker thread of Lido. What crosses to JavaScript goes through two byte buffers and one callback:
`inbox` holds what JavaScript wrote (a request, or a chunk of its body), `outbox` what this module wrote (a head, a
block, a line for the log), and `post()` says that the outbox is ready. The first four 32-bit integers of each buffer
say what is in it.
"""

import builtins
import importlib
import io
import re
import sys
import threading
import traceback
from codecs import latin_1_decode, latin_1_encode
from itertools import chain
from struct import Struct

_ints = Struct("=4i")
_HEADER = 16

# What the outbox holds; the same numbers as in cpython.ts.
_RESPONSE, _HEAD, _BLOCK, _END, _FAIL, _LOG, _READ = range(1, 8)
# What post() found, in the inbox; the same numbers as in cpython.ts.
_OK, _CLIENT_GONE = 0, 1

_MAX_CACHED = 512

# RFC 9112, section 4: three digits, a space, a reason; 1xx is no final status.
_is_status = re.compile("[2-9][0-9][0-9] [\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]").fullmatch
# RFC 9110, section 5.6.2 and 5.5.
_is_token = re.compile("[!#$%&'*+\\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile("[\t\x20-\x7e\x80-\xff]*").fullmatch
_is_length = re.compile("[0-9]+").fullmatch
# PEP 3333, "Other HTTP Features": an application has no say in what concerns the connection.
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers", "transfer-encoding", "upgrade")
)


class LidoTimeout(BaseException):
    """Raised inside an application that runs longer than the time-out."""


class ProtocolError(Exception):
    """A rule of PEP 3333 that the application broke; `code` and `args` are those of Lido's catalogue of errors."""

    def __init__(self, code, *args):
        super().__init__(*args)
        self.code = code

    def __str__(self):
        return f"{self.code}: {', '.join(map(str, self.args))}"


class ClientGone(ConnectionError):
    """The client went away while its request's body was read."""


class Worker:
    """One worker thread's end of the gateway: its application, its buffers, the request that it runs."""

    def __init__(self, constants, multithread, multiprocess):
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
        self.thread = threading.get_ident()
        # The request whose application runs right now, 0 while the gateway itself does: what may be interrupted.
        self.interruptible = 0
        self.interrupted = False
        self.request = 0
        self.errors = None
        self.keys = {}
        self.heads = {}

    def connect(self, post, inbox, outbox):
        """Takes the callback and the buffers; called again when a buffer had to grow."""
        self.post = post
        self.inbox = inbox
        self.outbox = outbox
        self.room = len(outbox) - _HEADER

    def handle(self):
        """Answers the request in the inbox. Whatever happens, the outbox or a post() gets exactly one end of it."""
        inbox = self.inbox
        self.request, environ_size, body_size, _ = _ints.unpack_from(inbox)
        body = _HEADER + environ_size
        wire = latin_1_decode(inbox[_HEADER:body])[0]
        environ = self.build_environ(wire)
        if body_size < 0:
            environ["wsgi.input"] = io.BufferedReader(ChunkedInput(self), 65536)
        else:
            environ["wsgi.input"] = io.BytesIO(inbox[body : body + body_size])
        self.errors = environ["wsgi.errors"] = ErrorStream(self)
        exchange = Exchange(self)
        try:
            exchange.run(environ)
        except BaseException as error:
            exchange.fail(error)
        self.interruptible = 0
        if self.interrupted:
            self.absorb_interrupt()
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

    def absorb_interrupt(self):
        """Lets an exception that was raised for this request arrive, if it has not yet: it must not hit the next one."""
        try:
            # Each turn of a loop looks for pending exceptions; one is enough, unless the application swallowed it.
            for _ in range(100):
                pass
        except LidoTimeout:
            pass
        self.interrupted = False

    def send(self, kind, head, block, first=0):
        """Hands the outbox to JavaScript, a long block in pieces; returns once the window has room again."""
        outbox = self.outbox
        size = len(head)
        if size > self.room // 2:
            raise ProtocolError("LIDO_405", "the head is too large")
        outbox[_HEADER : _HEADER + size] = head
        start = _HEADER + size
        room = self.room - size
        view = memoryview(block)
        for offset in range(0, len(block), room) if block else (0,):
            piece = view[offset : offset + room]
            outbox[start : start + len(piece)] = piece
            _ints.pack_into(outbox, 0, kind, size, len(piece), 0)
            if self.post_checked() == _CLIENT_GONE:
                return False
            kind, size, start, room = _BLOCK, 0, _HEADER, self.room
        return True

    def post_checked(self):
        if threading.get_ident() != self.thread:
            raise RuntimeError("LIDO_307: start_response, write, wsgi.input and wsgi.errors belong to the thread that runs the request")
        self.post()
        return _ints.unpack_from(self.inbox)[0]

    def log(self, text):
        data = text.encode("utf-8", "backslashreplace")[: self.room]
        self.outbox[_HEADER : _HEADER + len(data)] = data
        _ints.pack_into(self.outbox, 0, _LOG, len(data), 0, 0)
        self.post_checked()

    def read_chunk(self):
        """The next chunk of the body, empty at its end. Blocks without holding the GIL."""
        _ints.pack_into(self.outbox, 0, _READ, 0, 0, 0)
        if self.post_checked() == _CLIENT_GONE:
            raise ClientGone("the client is gone")
        size = _ints.unpack_from(self.inbox)[1]
        return bytes(self.inbox[_HEADER : _HEADER + size])


class Exchange:
    """One response as PEP 3333 lets it come about: start_response, write, blocks, failure."""

    __slots__ = ("worker", "head", "declared", "sent", "state", "gone")

    # unstarted, started (the head is held back until the first block that is not empty), sending, over
    UNSTARTED, STARTED, SENDING, OVER = range(4)

    def __init__(self, worker):
        self.worker = worker
        self.head = None
        self.state = 0
        self.gone = False

    def run(self, environ):
        worker = self.worker
        worker.interruptible = worker.request
        result = worker.application(environ, self.start_response)
        worker.interruptible = 0
        kind = type(result)
        if (kind is list or kind is tuple) and len(result) <= 1 and self.state == 1:
            self.send_whole(result[0] if result else b"")
            return
        self.send_all(result)

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333, "The start_response() Callable"."""
        if exc_info:
            try:
                if self.state >= 2:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no circular reference, as the PEP asks
        elif self.state:
            raise ProtocolError("LIDO_403")
        heads = self.worker.heads
        try:
            key = (status, *headers)
            head = heads.get(key)
            if head is None:
                head = build_head(status, headers)
                if len(heads) < _MAX_CACHED and len(head) < 512:
                    heads[key] = head
        except TypeError:
            head = build_head(status, headers)
        self.head = head
        self.state = 1
        return self.write

    def write(self, block):
        """PEP 3333, "The write() Callable"."""
        if not isinstance(block, bytes):
            raise ProtocolError("LIDO_407", name_type(block))
        if not block:
            return
        worker = self.worker
        if self.state == 2:
            ok = worker.send(_BLOCK, b"", block)
        elif self.state == 1:
            self.state = 2
            ok = worker.send(_HEAD, self.head, block)
        else:
            raise ProtocolError("LIDO_402")
        if not ok:
            self.gone = True

    def send_whole(self, block):
        if not isinstance(block, bytes):
            raise ProtocolError("LIDO_407", name_type(block))
        worker = self.worker
        head = self.head
        start = _HEADER + len(head)
        end = start + len(block)
        if end > len(worker.outbox):
            if block:
                self.write(block)
            self.end()
            return
        if worker.errors.partial:
            worker.errors.flush()
        outbox = worker.outbox
        outbox[_HEADER:start] = head
        outbox[start:end] = block
        # No post(): JavaScript looks at the outbox when handle() has returned.
        _ints.pack_into(outbox, 0, _RESPONSE, len(head), len(block), 0)
        self.state = 3

    def send_all(self, result):
        """Each block is sent before the next is asked for; close() is called whatever happens."""
        worker = self.worker
        try:
            try:
                iterator = iter(result)
            except TypeError:
                raise ProtocolError("LIDO_408", name_type(result)) from None
            if isinstance(result, (str, bytes)):
                raise ProtocolError("LIDO_408", name_type(result))
            worker.interruptible = worker.request
            for block in iterator:
                worker.interruptible = 0
                self.write(block)
                if self.gone:
                    break
                worker.interruptible = worker.request
            worker.interruptible = 0
            if not self.gone and self.state == 0:
                raise ProtocolError("LIDO_402")
        except BaseException as error:
            worker.interruptible = 0
            try:
                close(result)
            except BaseException as another:
                worker.log(f"close() failed: {format_error(another)}")
            self.fail(error)
            return
        try:
            close(result)
        except BaseException as error:
            # The body was whole before: the client gets it, the log gets the error.
            worker.log(f"close() failed: {format_error(error)}")
        self.end()

    def end(self):
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        if self.state == 1 and not self.gone:
            worker.outbox[_HEADER : _HEADER + len(self.head)] = self.head
            _ints.pack_into(worker.outbox, 0, _RESPONSE, len(self.head), 0, 0)
        else:
            _ints.pack_into(worker.outbox, 0, _END, 0, 0, 0)
        self.state = 3

    def fail(self, error):
        """Ends the request with an error: the code, the message's arguments and the traceback, parted by NUL."""
        worker = self.worker
        worker.interruptible = 0
        if self.state == 3:
            return  # a time-out that arrived when all was done: the outbox holds the end already
        if worker.errors.partial:
            worker.errors.flush()
        if isinstance(error, ProtocolError):
            code, what = error.code, "\0".join(map(str, error.args))
        elif isinstance(error, LidoTimeout):
            code, what = "LIDO_502", ""
        else:
            code, what = "LIDO_401", "".join(traceback.format_exception_only(type(error), error)).strip()
        parts = [part.encode("utf-8", "backslashreplace") for part in (code, what, format_error(error))]
        room = worker.room - len(parts[0]) - 2
        what, trace = parts[1][: room // 4], parts[2][-(room * 3 // 4) :]
        head = parts[0] + b"\0" + what
        outbox = worker.outbox
        outbox[_HEADER : _HEADER + len(head)] = head
        outbox[_HEADER + len(head) : _HEADER + len(head) + len(trace)] = trace
        _ints.pack_into(outbox, 0, _FAIL, len(head), len(trace), 0)
        self.state = 3


def build_head(status, headers):
    """The head on the wire: `status\\nName\\nvalue\\nName\\nvalue` in latin-1, checked."""
    if not isinstance(status, str) or not _is_status(status):
        raise ProtocolError("LIDO_404", repr(status))
    lengths = 0
    for header in headers:
        try:
            name, value = header
        except (TypeError, ValueError):
            raise ProtocolError("LIDO_405", repr(header)) from None
        if not isinstance(name, str) or not isinstance(value, str) or not _is_token(name) or not _is_value(value):
            raise ProtocolError("LIDO_405", repr(header))
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            raise ProtocolError("LIDO_406", repr(name))
        if lower == "content-length":
            lengths += 1
            if lengths > 1 or not _is_length(value):
                raise ProtocolError("LIDO_409", repr(value))
    return latin_1_encode("\n".join(chain((status,), *headers)))[0]


def close(result):
    method = getattr(result, "close", None)
    if method is not None:
        method()


def name_type(value):
    return "None" if value is None else f"a {type(value).__name__}"


def format_error(error):
    """The traceback as Python prints it, without the frames of this module."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


class ChunkedInput(io.RawIOBase):
    """A body that is pulled from the client as it is read; io.BufferedReader makes lines and sizes of it."""

    def __init__(self, worker):
        self.worker = worker
        self.request = worker.request
        self.rest = b""
        self.ended = False

    def readable(self):
        return True

    def readinto(self, target):
        if not self.rest and not self.ended:
            if self.worker.request != self.request:
                raise ValueError("wsgi.input was read after its request was over")
            self.rest = self.worker.read_chunk()
            self.ended = not self.rest
        size = min(len(target), len(self.rest))
        target[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        return size


class ErrorStream:
    """wsgi.errors: text that ends in Lido's log, line by line, beside the request. PEP 3333, "Input and Error Streams"."""

    __slots__ = ("worker", "partial", "request")

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, worker):
        self.worker = worker
        self.request = worker.request
        self.partial = ""

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        *lines, self.partial = (self.partial + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if self.partial:
            text, self.partial = self.partial, ""
            self._log(text)

    def _log(self, line):
        # A logging handler keeps the stream it was made with, and other threads may write to it: stderr takes those.
        if self.worker.request == self.request and threading.get_ident() == self.worker.thread:
            self.worker.log(line)
        else:
            sys.stderr.write(line + "\n")


class FileWrapper:
    """wsgi.file_wrapper. PEP 3333, "Optional Platform-Specific File Handling"."""

    def __init__(self, filelike, block_size=65536):
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration


# ---- Loading --------------------------------------------------------------------------------------------

_DEFAULT_NAMES = ("application", "app")


class LoadError(Exception):
    def __init__(self, code, *args, trace=None):
        super().__init__(*args)
        self.code = code
        self.trace = trace


def load(module_name, callable_text, path, spec):
    """Imports the application; raises LoadError with the catalogue's code, its arguments and the traceback."""
    for entry in reversed(path):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    module = _import(module_name, path)
    if callable_text is None:
        for name in _DEFAULT_NAMES:
            if hasattr(module, name):
                callable_text = name
                break
        else:
            raise LoadError("LIDO_203", module_name, " or ".join(_DEFAULT_NAMES), _names(module))
    application = _look_up(module, module_name, callable_text, spec)
    if not builtins.callable(application):
        raise LoadError("LIDO_204", spec, name_type(application))
    return application


def _import(name, path):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module that was asked for is "not found": one that it imports is its own failure.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError("LIDO_201", name, f"{name} on {', '.join(path)} and what Python finds itself", trace=format_error(error)) from None
        raise LoadError("LIDO_202", name, trace=_format_import_error(error)) from None
    except BaseException as error:
        raise LoadError("LIDO_202", name, trace=_format_import_error(error)) from None


def _format_import_error(error):
    trace = error.__traceback__
    while trace is not None and ("importlib" in trace.tb_frame.f_code.co_filename or trace.tb_frame.f_code.co_filename == __file__):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _look_up(module, module_name, text, spec):
    """`app`, `site.app`, or a factory call with literal arguments: `create_app("production")`."""
    import ast

    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise LoadError("LIDO_102", text, "a callable is a name, a dotted name or a call with literal arguments") from None
    call = expression if isinstance(expression, ast.Call) else None
    target = module
    for name in _dotted(call.func if call else expression, text):
        try:
            target = getattr(target, name)
        except AttributeError:
            raise LoadError("LIDO_203", module_name, ast.unparse(call.func if call else expression), _names(module)) from None
    if call is None:
        return target
    try:
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        raise LoadError("LIDO_102", text, "the arguments of a factory are literals") from None
    try:
        return target(*positional, **named)
    except BaseException as error:
        raise LoadError("LIDO_206", spec, trace=format_error(error)) from None


def _dotted(expression, text):
    import ast

    names = []
    while isinstance(expression, ast.Attribute):
        names.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        raise LoadError("LIDO_102", text, "a callable is a name, a dotted name or a call with literal arguments")
    return [expression.id, *reversed(names)]


def _names(module):
    return ", ".join(name for name in vars(module) if not name.startswith("_")) or "nothing"


# ---- Called by cpython.ts and host.ts -------------------------------------------------------------------

#: Workers by the identity of their thread, for the host that interrupts them.
workers = {}


def start(settings, post, inbox, outbox):
    """Makes this thread's worker and loads its application. Returns handle(); a failure is left in the outbox."""
    import json

    worker = Worker(settings["constants"], settings["multithread"], settings["multiprocess"])
    worker.connect(post, inbox, outbox)
    workers[worker.thread] = worker
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(line_buffering=True)
        worker.application = load(settings["module"], settings["callable"], settings["path"], settings["spec"])
    except LoadError as error:
        data = json.dumps({"code": error.code, "args": list(error.args), "trace": error.trace}).encode()[: worker.room]
        outbox[_HEADER : _HEADER + len(data)] = data
        _ints.pack_into(outbox, 0, _FAIL, len(data), 0, 0)
        return None
    _ints.pack_into(outbox, 0, _OK, worker.thread & 0x7FFFFFFF, worker.thread >> 31, 0)
    return worker


def check_interrupt(thread, request):
    """Under the GIL: the stack of the application that runs this request, or None when it must not be interrupted."""
    worker = workers.get(thread)
    frame = sys._current_frames().get(thread)
    if worker is None or frame is None or worker.request != request:
        return None
    return "".join(line for line in traceback.format_stack(frame) if __file__ not in line)


def mark_interrupted(thread, request):
    """Under the GIL, just before LidoTimeout is raised in the thread: whether it may be."""
    worker = workers.get(thread)
    if worker is None or worker.interruptible != request or worker.interrupted:
        return False
    worker.interrupted = True
    return True


def forget(worker):
    workers.pop(worker.thread, None)
