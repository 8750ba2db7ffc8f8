"""wsgi.input, wsgi.errors and wsgi.file_wrapper. PEP 3333, "Input and Error Streams"."""

import io
import os
import stat
import sys
from threading import get_ident

from .output import captures, log_error

_BUFFER_SIZE = 65536
_PLAIN_FILES = (io.BufferedReader, io.BufferedRandom, io.FileIO)


def open_input(worker, fd):
    """A body that lies in the file with this descriptor; None for one that is pulled from the client as it is read."""
    raw = ChunkedInput(worker) if fd is None else open_file(worker, fd)
    return io.BufferedReader(raw, _BUFFER_SIZE)


def open_file(worker, fd):
    """Where the process may open no more files, the main thread reads it for this one."""
    try:
        file = FiledInput(worker, os.dup(fd))
    except OSError:
        return ChunkedInput(worker)
    # Told before the main thread closes its own: from then on the number may be another file's.
    if worker.is_gone():
        file.close()
        return ChunkedInput(worker)
    worker.file = file
    return file


class FiledInput(io.FileIO):
    """
    A body that is whole, in a file that has no name. The descriptor is this object's own: the main thread closes the other one
    where it has given this worker up, and its number may soon be another file's. The worker closes this when its request ends.
    """

    def __init__(self, worker, fd):
        super().__init__(fd)
        self.worker = worker
        self.request = worker.request

    def readinto(self, target):
        self.worker.check_thread(self.request)
        size = super().readinto(target)
        self.worker.show_sign(size)
        return size

    def readall(self):
        self.worker.check_thread(self.request)
        body = super().readall()
        self.worker.show_sign(len(body))
        return body


class ChunkedInput(io.RawIOBase):
    """The chunks as they come; io.BufferedReader makes lines and sizes of them."""

    def __init__(self, worker):
        self.worker = worker
        self.request = worker.request
        self.rest = memoryview(b"")
        self.ended = False

    def readable(self):
        return True

    def readinto(self, target):
        if self.rest:
            # It lies in memory that the next request's body will be in.
            self.worker.check_thread(self.request)
        else:
            self._pull()
        size = min(len(target), len(self.rest))
        target[:size] = self.rest[:size]
        self.rest = self.rest[size:]
        return size

    def readall(self):
        """RawIOBase would go by steps of 8 KiB."""
        if self.rest:
            self.worker.check_thread(self.request)
        parts = []
        while self.rest or self._pull():
            parts.append(bytes(self.rest))
            self.rest = memoryview(b"")
        return b"".join(parts)

    def _pull(self):
        if self.ended:
            return False
        self.rest = self.worker.read_chunk(self.request)
        self.ended = not self.rest
        return not self.ended


class ErrorStream:
    """
    Text that ends in Lido's log, line by line, beside the request that its worker runs. A logging handler keeps the stream it was
    made with, and other threads may write to it: what they write goes to stderr, which keeps their lines apart from the worker's.
    """

    __slots__ = ("worker", "partial")

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, worker):
        self.worker = worker
        self.partial = ""

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        if get_ident() != self.worker.thread:
            return sys.stderr.write(text)
        if captures():
            lines, end, self.partial = (self.partial + text).rpartition("\n")
            if end:
                log_error(lines)
            return len(text)
        *lines, self.partial = (self.partial + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if get_ident() != self.worker.thread:
            sys.stderr.flush()
        elif self.partial:
            text, self.partial = self.partial, ""
            self._log(text)

    def _log(self, line):
        worker = self.worker
        if captures():
            log_error(line)
        elif worker.request:
            worker.log(line)
        else:
            sys.stderr.write(line + "\n")


class FileWrapper:
    """PEP 3333, "Optional Platform-Specific File Handling"."""

    def __init__(self, filelike, block_size=_BUFFER_SIZE):
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def find_file(self):
        """Descriptor, position and length where the file is a regular one; None where it has to go by blocks."""
        file = _unwrap(self.filelike)
        if file is None:
            return None
        try:
            if file.writable():
                file.flush()
            fd = file.fileno()
            status = os.fstat(fd)
            position = file.tell()
        except (OSError, ValueError):
            return None
        # Files of /proc and their like say that they are empty.
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        return fd, position, max(0, status.st_size - position)

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.block_size)
        if block:
            return block
        raise StopIteration


def _unwrap(file):
    """The plain file whose content read() gives; None where read() may give something else, as gzip's does."""
    inner = getattr(file, "file", file)
    if type(inner) not in _PLAIN_FILES or "read" in vars(inner):
        return None
    # Django's File hands out its file's read(), tempfile's wrapper a function around it.
    if inner is file or _wraps_temporary(file) or getattr(file, "read", None) == inner.read:
        return inner
    return None


def _wraps_temporary(file):
    """Whoever has made one has imported tempfile, which is not done here: much comes along."""
    tempfile = sys.modules.get("tempfile")
    return tempfile is not None and type(file) is tempfile._TemporaryFileWrapper
