"""[6] One response as PEP 3333 lets it come about, in wsgiref's order: call, send, close."""

from types import GeneratorType

from .failures import ClientGone, LidoTimeout, ProtocolError, describe_error, format_error, name_type
from .head import build_head, declare_length
from .streams import FileWrapper
from .wire import END, MAX_HEAD, RESPONSE, SMALL_FILE, STRING_BLOCK_LIMIT, WHOLE

# Of what went wrong, in characters: of a traceback the end.
_MAX_TEXT = 32768
_MAX_TRACE = 98304

# Their close(), where they have one, does nothing once they are exhausted.
_CLOSED_BY_THEMSELVES = (list, tuple, GeneratorType)

# A response's state. STARTED: the head is held back until the first block that is not empty.
_UNSTARTED, _STARTED, _SENDING, _OVER = range(4)


class Response:
    """One response as PEP 3333 lets it come about: start_response, write, blocks, failure."""

    __slots__ = ("worker", "request", "head", "has_length", "state", "gone")

    def __init__(self, worker, request):
        self.worker = worker
        self.request = request
        self.head = None
        self.has_length = False
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
        self.head, self.has_length = build_head(status, headers)
        self.state = _STARTED
        return self.write

    def write(self, block):
        """PEP 3333, "The write() Callable"; the iterable's blocks go the same way."""
        self.worker.check_thread(self.request)
        self.send_block(block)

    def send_block(self, block):
        if type(block) is not bytes:
            block = _take_bytes(block)
        if not block or self.gone:
            return
        if self.state == _STARTED:
            self.state = _SENDING
            self.gone = not self.worker.send_head(self.head, block)
        elif self.state == _SENDING:
            self.gone = not self.worker.send_block(block)
        else:
            raise ProtocolError("LIDO_RESPONSE_NOT_STARTED")

    def send_whole(self, block):
        """A body of one block travels with the head, and the end of the request."""
        if type(block) is not bytes:
            block = _take_bytes(block)
        worker = self.worker
        if len(block) > STRING_BLOCK_LIMIT:
            self.head = declare_length(self.head, len(block))
            self.send_block(block)
            self.end()
            return
        if worker.errors.partial:
            worker.errors.flush()
        self.finish(RESPONSE, self.head, block)

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
        if self.state == _SENDING and not self.has_length and type(result) not in _CLOSED_BY_THEMSELVES:
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
            block = 'text.encode("utf-8")' if isinstance(result, str) else "body"
            raise ProtocolError("LIDO_RESULT_NOT_IN_LIST", name_type(result), block)
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
                worker.absorb_interrupt()
            if worker.timed_out == self.request:
                raise LidoTimeout
            self.send_block(block)
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
        self.has_length = True
        return found[2] >= SMALL_FILE and self.leave_file(found)

    def leave_file(self, part):
        is_taken = self.worker.leave_file(self.head, *part)
        self.gone = self.worker.is_gone()
        if is_taken:
            self.state = _SENDING
        return is_taken

    def end_body(self):
        """Lets a client that cannot count have the end of the body before close() runs, which may take its time."""
        worker = self.worker
        if not self.gone and worker.timed_out != self.request:
            worker.put_early(WHOLE, b"", b"")

    def leave_application(self):
        """From here on the gateway runs, which is not interrupted."""
        worker = self.worker
        worker.interruptible = 0
        if worker.interrupting:
            worker.absorb_interrupt()

    def close(self, result):
        """Called once in every path. PEP 3333, "Specification Details"."""
        try:
            method = getattr(result, "close", None)
            if method is not None:
                self.worker.interruptible = self.request
                method()
        except BaseException as error:
            self.leave_application()
            self.worker.log(f"close() failed: {format_error(error)}")
        else:
            self.leave_application()

    def end(self):
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        if self.state == _STARTED and not self.gone:
            self.finish(RESPONSE, self.head, b"")
        else:
            self.finish(END, b"", b"")

    def finish(self, kind, head, block):
        """The last record of the request."""
        if len(head) > MAX_HEAD:
            raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
        worker = self.worker
        worker.finish(kind, head, block)
        self.state = _OVER

    def fail(self, error):
        """Ends the request with an error of the catalogue and the traceback."""
        worker = self.worker
        if worker.errors.partial:
            worker.errors.flush()
        # Nobody's failure, and nobody waits for an answer.
        if _comes_of_departure(error) and self.state != _OVER:
            self.finish(END, b"", b"")
            return
        trace = _clean(format_error(error))[-_MAX_TRACE:]
        if self.state == _OVER:
            worker.log(trace)
            return
        if isinstance(error, ProtocolError):
            code, arguments = error.code, error.args
        elif isinstance(error, LidoTimeout):
            code, arguments = "LIDO_TIMED_OUT", (worker.timeout,)
        else:
            code, arguments = "LIDO_APPLICATION_RAISED", (describe_error(error),)
        worker.fail(code, [_clean(str(argument))[:_MAX_TEXT] for argument in arguments], trace)
        self.state = _OVER


def _comes_of_departure(error):
    """The client left while its request's body was read, or that was raised on as another error, as frameworks do."""
    return isinstance(error, ClientGone) or isinstance(error.__cause__, ClientGone)


def _clean(text):
    """Text that can be told to others: half a surrogate is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _take_bytes(block):
    """A block of a class of its own as the bytes that it holds: the class may lie about their number."""
    if not isinstance(block, bytes):
        raise ProtocolError("LIDO_BLOCK_NOT_BYTES", name_type(block))
    return bytes(memoryview(block))
