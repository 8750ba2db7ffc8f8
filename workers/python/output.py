"""Standard output and standard error: whole lines, whoever writes at the same time, and lines of the log where that is JSON.

A line goes to the system as soon as it is whole, by the thread that wrote it. So nothing is lost at the end of the process,
however that comes; nothing piles up, for a reader that is slow holds up whoever writes; and the main thread has no part in it.
"""

import io
import json
import os
import sys
from contextvars import ContextVar
from select import select
from threading import get_ident
from time import time

from .interrupts import workers

#: The id of the request that this code runs for, as in the log; set only where captures() is true.
request_id = ContextVar("lido.request_id", default="")

#: Bytes of a line without an end that are kept.
_MAX_PARTIAL = 65536
#: A pipe that takes nothing for so long, and is not to be waited for by the system, loses the line. Seconds.
_PATIENCE = 10

# pino's numbers. What is written to standard error is an error as far as anybody can tell, as in wsgi.errors.
_INFO, _ERROR = 30, 50

# What the streams were replaced by, to be told at the end to write what is left.
_buffers = []
_log = None


def captures():
    return _log is not None


def take_over(log_fd):
    """Takes the place of sys.stdout and sys.stderr, once in each interpreter. `log_fd` is where a JSON log is, None for none."""
    global _log
    if _buffers:
        return
    if log_fd is not None:
        _log = JsonLog(log_fd)
    for name, level in (("stdout", _INFO), ("stderr", _ERROR)):
        stream = getattr(sys, name)
        # Neither where there is none, nor where whoever runs this Python has put another in its place.
        if type(stream) is not io.TextIOWrapper:
            continue
        buffer = LineBuffer(stream.buffer, name, level)
        _buffers.append(buffer)
        replaced = OutputStream(buffer, stream.encoding, stream.errors, line_buffering=True)
        replaced.mode = stream.mode
        setattr(sys, name, replaced)


def write_rest():
    """Writes the lines that have no end, of all threads."""
    for buffer in _buffers:
        buffer.write_all_partial()


def forget_others():
    """In a process that was forked off: what other threads have begun is written by these, which it has not."""
    for buffer in _buffers:
        buffer.forget_others()


def run_captured(run, environ):
    """run(environ), where captures() is true: what it writes is this request's, with a line break at its end or without."""
    request_id.set(environ["lido.request_id"])
    try:
        run(environ)
    finally:
        for buffer in _buffers:
            buffer.flush()


def log_error(text):
    """A line of wsgi.errors, where captures() is true."""
    _log.write("wsgi.errors", _ERROR, "", text)


class OutputStream(io.TextIOWrapper):
    """sys.stdout or sys.stderr. Text is not gathered here, where it would be that of all threads, but in the LineBuffer."""

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        data = text.encode(self.encoding, self.errors)
        if _log is None:
            self.buffer.write(data)
        else:
            self.buffer.put(data, *_find_record(sys._getframe(1)))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)


class LineBuffer(io.BufferedIOBase):
    """What is written to the stream's `buffer`, as bytes or as text."""

    def __init__(self, inner, name, level):
        self.inner = inner
        self.raw = getattr(inner, "raw", inner)
        self.name = inner.name
        self._stream = name
        self._level = level
        self._fd = inner.fileno()
        # Lines without an end, by the identity of the thread that wrote them.
        self._partial = {}

    def writable(self):
        return True

    def fileno(self):
        return self._fd

    def isatty(self):
        return self.inner.isatty()

    def write(self, data):
        self.put(bytes(data), None, "")
        return len(data)

    def put(self, data, level, logger):
        thread = get_ident()
        data = self._partial.pop(thread, b"") + data
        end = len(data) if len(data) > _MAX_PARTIAL else data.rfind(b"\n") + 1
        if end:
            self._emit(data[:end], level, logger)
        if end < len(data):
            self._partial[thread] = data[end:]

    def flush(self):
        """Writes what this thread has begun."""
        self._write_partial(get_ident())

    def write_all_partial(self):
        for thread in list(self._partial):
            self._write_partial(thread)

    def forget_others(self):
        own = get_ident()
        self._partial = {thread: data for thread, data in self._partial.items() if thread == own}

    def _write_partial(self, thread):
        data = self._partial.pop(thread, b"")
        if data:
            self._emit(data, None, "")

    def _emit(self, data, level, logger):
        if _log is None:
            _write(self._fd, data)
        else:
            _log.write(self._stream, level or self._level, logger, data.decode("utf-8", "backslashreplace"))


class JsonLog:
    """The log, as pino writes it. What is written at once is one line, such as a record of logging with its traceback."""

    def __init__(self, fd):
        self._fd = fd

    def write(self, stream, level, logger, text):
        text = text.rstrip("\r\n")
        if not text:
            return
        fields = {"level": level, "time": int(time() * 1000), "pid": os.getpid()}
        worker = workers.get(get_ident())
        if worker is not None:
            fields.update(worker.labels)
        request = request_id.get()
        if request:
            fields["requestId"] = request
        if logger:
            fields["logger"] = logger
        fields.update(stream=stream, msg=text)
        line = json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"
        _write(self._fd, line.encode("utf-8", "backslashreplace"))


def _find_record(frame):
    """Level and logger of the record of logging that this code writes; (None, "") where it is none."""
    logging = sys.modules.get("logging")
    handler = getattr(logging, "StreamHandler", None)
    if handler is None or frame.f_code is not getattr(handler.emit, "__code__", None):
        return None, ""
    record = frame.f_locals.get("record")
    # logging counts 10 for debug to 50 for critical, pino 20 to 60.
    return max(10, min(60, record.levelno + 10)), record.name


def _write(fd, data):
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            if not select((), (fd,), (), _PATIENCE)[1]:
                return
        except OSError:
            # Nobody reads any more, or the disk is full: that is no reason for a request to fail.
            return
