"""[6] One response as PEP 3333 lets it come about, in wsgiref's order: call, send, close."""

from types import GeneratorType

from .failures import LidoTimeout, ProtocolError, describe_error, format_error, name_type
from .head import build_head, declare_length, declares_length
from .streams import FileWrapper
from .wire import BLOCK, END, FAIL, FILE, HEAD, HEADER, RESPONSE, WHOLE, pack, unpack

# A file that is smaller is read here: that is quicker than to let the main thread open it.
_SMALL_FILE = 65536

# Their close(), where they have one, does nothing once they are exhausted.
_CLOSED_BY_THEMSELVES = (list, tuple, GeneratorType)

# A response's state. STARTED: the head is held back until the first block that is not empty.
_UNSTARTED, _STARTED, _SENDING, _OVER = range(4)


class Response:
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
            raise ProtocolError("LIDO_RESPONSE_STARTED_TWICE")
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
            self.gone = not worker.send(BLOCK, b"", block)
        elif self.state == _STARTED:
            self.state = _SENDING
            self.gone = not worker.send(HEAD, self.head, block)
        else:
            raise ProtocolError("LIDO_RESPONSE_NOT_STARTED")

    def send_whole(self, block):
        """A body of one block travels with the head, and the end of the request."""
        if type(block) is not bytes:
            block = _take_bytes(block)
        worker = self.worker
        start = HEADER + len(self.head)
        end = start + len(block)
        outbox = worker.outbox
        if end > len(outbox):
            self.head = declare_length(self.head, len(block))
            self.write(block)
            self.end()
            return
        if worker.errors.partial:
            worker.errors.flush()
        outbox[HEADER:start] = self.head
        outbox[start:end] = block
        # No post(): JavaScript looks at the outbox when handle() has returned.
        pack(outbox, 0, RESPONSE, len(self.head), len(block), 0)
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
        # An empty one is an iterable without blocks, to the letter; of another one the blocks would be characters.
        if isinstance(result, (str, bytes)) and result:
            raise ProtocolError("LIDO_RESULT_NOT_ITERABLE", name_type(result))
        if type(result) is FileWrapper and self.state == _STARTED and self.send_file(result):
            return
        worker.interruptible = self.request
        try:
            iterator = iter(result)
        except TypeError:
            # A TypeError out of the application's own __iter__ is its own error.
            if hasattr(type(result), "__iter__"):
                raise
            raise ProtocolError("LIDO_RESULT_NOT_ITERABLE", name_type(result)) from None
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
            raise ProtocolError("LIDO_RESPONSE_NOT_STARTED")

    def send_file(self, wrapper):
        """Leaves the body to the main thread where it is a regular file of some size; false where it goes by blocks."""
        found = wrapper.find_file()
        if found is None:
            return False
        self.head = declare_length(self.head, found[2])
        return found[2] >= _SMALL_FILE and self.leave_file(b"%d %d %d" % found)

    def leave_file(self, part):
        worker = self.worker
        start = HEADER + len(self.head)
        worker.outbox[HEADER:start] = self.head
        worker.outbox[start : start + len(part)] = part
        pack(worker.outbox, 0, FILE, len(self.head), len(part), 0)
        self.gone = not worker.exchange_words()
        is_taken = self.gone or unpack(worker.inbox)[1] == 1
        if is_taken:
            self.state = _SENDING
        return is_taken

    def end_body(self):
        """Lets a client that cannot count have the end of the body before close() runs, which may take its time."""
        worker = self.worker
        if worker.timed_out != self.request and not declares_length(self.head):
            pack(worker.outbox, 0, WHOLE, 0, 0, 0)
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
            worker.outbox[HEADER : HEADER + len(self.head)] = self.head
            pack(worker.outbox, 0, RESPONSE, len(self.head), 0, 0)
        else:
            pack(worker.outbox, 0, END, 0, 0, 0)
        self.state = _OVER

    def fail(self, error):
        """Ends the request with an error: the code and the message's arguments, parted by NUL, and the traceback."""
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        if isinstance(error, ProtocolError):
            code, what = error.code, "\0".join(map(str, error.args))
        elif isinstance(error, LidoTimeout):
            code, what = "LIDO_TIMED_OUT", worker.timeout
        else:
            code, what = "LIDO_APPLICATION_RAISED", describe_error(error)
        parts = [part.encode("utf-8", "backslashreplace") for part in (code, what, format_error(error))]
        room = worker.room - len(parts[0]) - 1
        what, trace = parts[1][: room // 4], parts[2][-(room * 3 // 4) :]
        head = parts[0] + b"\0" + what
        outbox = worker.outbox
        outbox[HEADER : HEADER + len(head)] = head
        outbox[HEADER + len(head) : HEADER + len(head) + len(trace)] = trace
        pack(outbox, 0, FAIL, len(head), len(trace), 0)
        self.state = _OVER


def _take_bytes(block):
    """A block of a class of its own as the bytes that it holds: the class may lie about their number."""
    if not isinstance(block, bytes):
        raise ProtocolError("LIDO_BLOCK_NOT_BYTES", name_type(block))
    return bytes(memoryview(block))
