"""[6] Python's ends of the rings: requests and chunks of bodies come in, answers go out, without leaving Python.

The layout is told in contract/ring.ts, the words in contract/protocol.ts. What Python cannot do is to order what it does
with memory: on ARM a processor may let others see a later store before an earlier one, and read what it needs later first.
So between two steps whose order matters stands fence(), which gives a lock back and takes it again. Everything before it has
happened, for all other threads, before anything behind it does:

- to give a lock back is a store-release: nothing before it is done later;
- to take it is a load-acquire: nothing behind it is done earlier;
- a load-acquire is not done before a store-release that comes before it (ARM's "RCsc", which is what C compilers use for
  locks; on x86 both are locked instructions, each a full barrier in itself).

This holds for each lock that CPython has been built with: semaphores, mutexes, and the PyMutex of 3.14. A single word is
read and written at once: memoryview copies its four bytes, which lie on a multiple of four, by one instruction.
"""

# By name: what an application puts in its place (eventlet does) is no lock between threads.
from _thread import allocate_lock
from codecs import latin_1_decode
from json import JSONEncoder
from struct import Struct
from time import sleep

from .wire import (
    ANSWERS_FREED,
    ANSWERS_WRITTEN,
    BLOCK,
    BODIES_FREED,
    BODIES_WRITTEN,
    CLAIMED,
    FILED_REQUEST,
    OFFER,
    POSTED_REQUEST,
    RECORD_HEADER,
    REQUEST,
    REQUESTS_FREED,
    REQUESTS_WRITTEN,
    SESSION_WORDS,
    SKIP,
    SLOT_BITS,
    SLOT_WORDS,
)

_header = Struct("=4I")
pack = _header.pack_into
unpack = _header.unpack_from

_MODULO = 0xFFFFFFFF
_SLOT_MASK = (1 << SLOT_BITS) - 1
# A header, and what it takes to fill up the last piece.
_ROUNDED_UP = 2 * RECORD_HEADER - 1
# Characters as they are: where each beyond ASCII is escaped, a long traceback takes more than there will ever be room for.
_write_json = JSONEncoder(ensure_ascii=False).encode


def write_message(*message):
    """One of the messages of protocol.ts, as it lies in a MESSAGE. Half a surrogate stays what it is, escaped."""
    return _write_json(message).encode("utf-8", "backslashreplace")


def make_fence():
    """A barrier for one thread's reads and writes; see above."""
    lock = allocate_lock()
    lock.acquire()
    give_back, take = lock.release, lock.acquire

    def fence():
        give_back()
        take()

    return fence


def find_slot_word(request, word, bits=SLOT_BITS):
    """The index of a word of the slot that a request's id names."""
    return SESSION_WORDS + (request & ((1 << bits) - 1)) * SLOT_WORDS + word


def record_size(length):
    return (length + _ROUNDED_UP) & -RECORD_HEADER


def is_offered(words, request, bits):
    """Whether it is this worker's, and not the main thread's, which may be about to decide: for some instructions."""
    word = find_slot_word(request, OFFER, bits)
    offer = words[word]
    while offer == (-request & _MODULO):
        sleep(0)
        offer = words[word]
    return offer == request


class RequestReader:
    """Requests from the main thread, each of which is claimed before it is looked at."""

    def __init__(self, words, ring, fence):
        self.words = words
        self.ring = ring
        self.size = len(ring)
        self.fence = fence
        # Bytes read, and requests claimed or passed over, modulo 2^32.
        self.read = 0
        self.claimed = 0
        # How far the ring was written when it was last looked at, before the last fence.
        self.seen = 0
        # Bytes that the last record took up.
        self.last_size = 1

    def take(self):
        """
        The next request as (id, environ, body): `environ` is its text on the wire, `body` is bytes, the descriptor of a file, or
        None where it comes in chunks. `environ` is None where both have to be fetched. Returns None when there is no request.
        """
        words = self.words
        ring = self.ring
        while True:
            self.seen = written = words[REQUESTS_WRITTEN]
            if written == self.read:
                return None
            self.claimed = (self.claimed + 1) & _MODULO
            words[CLAIMED] = self.claimed
            # Three orders in one. The record is read after the count that covers it; the main thread wrote it before. What was
            # copied out of the last record was read before its place is given back. And CLAIMED is stored before OFFER is read,
            # as protocol.ts demands.
            self.fence()
            words[REQUESTS_FREED] = self.read
            at = self.read & (self.size - 1)
            kind, request, environ_size, body_size = unpack(ring, at)
            if kind == SKIP:
                self.read = (self.read + self.size - at) & _MODULO
                at = 0
                kind, request, environ_size, body_size = unpack(ring, 0)
            self.last_size = size = (environ_size + body_size + _ROUNDED_UP) & -RECORD_HEADER
            self.read = (self.read + size) & _MODULO
            # Nearly always it is, at once: the call is for the rest.
            if words[SESSION_WORDS + (request & _SLOT_MASK) * SLOT_WORDS + OFFER] != request:
                if not is_offered(words, request, SLOT_BITS):
                    continue
            if kind == POSTED_REQUEST:
                return request, None, None
            at += RECORD_HEADER
            body = at + environ_size
            environ = latin_1_decode(ring[at:body])[0]
            if kind == REQUEST:
                return request, environ, bytes(ring[body : body + body_size]) if body_size else b""
            return request, environ, int(bytes(ring[body : body + body_size])) if kind == FILED_REQUEST else None

    def has_next(self):
        """Whether another request waits that is this worker's. One that came since the last was taken may be overlooked."""
        if self.seen == self.read:
            return False
        kind, request, _, _ = unpack(self.ring, self.read & (self.size - 1))
        return kind != SKIP and self.words[find_slot_word(request, OFFER)] == request

    def give_back(self):
        """Gives back the place of all that was read. Call it before a wait."""
        self.fence()
        self.words[REQUESTS_FREED] = self.read


class ChunkReader:
    """Chunks of the body that the running request reads; what was sent for an earlier one is passed over."""

    def __init__(self, words, ring, fence):
        self.words = words
        self.ring = ring
        self.size = len(ring)
        self.fence = fence
        # Bytes read, modulo 2^32.
        self.read = 0
        # Bytes of the ring that were read and not told of.
        self.passed = 0

    def take(self, request):
        """
        The next chunk where it lies, empty at the body's end; None when there is none yet. It is there until the next call:
        its place is given back then.
        """
        words = self.words
        # What was copied out of the last chunk was read before its place is given back.
        self.fence()
        words[BODIES_FREED] = self.read
        while words[BODIES_WRITTEN] != self.read:
            # What the record says is read after the count that covers it.
            self.fence()
            at = self.read & (self.size - 1)
            kind, owner, _, length = unpack(self.ring, at)
            if kind == SKIP:
                self.read = (self.read + self.size - at) & _MODULO
                continue
            chunk = None
            if owner == request:
                start = at + RECORD_HEADER
                chunk = self.ring[start : start + length]
            self.read = (self.read + record_size(length)) & _MODULO
            self.passed += record_size(length)
            if chunk is not None:
                return chunk
            words[BODIES_FREED] = self.read
        words[BODIES_FREED] = self.read
        return None


class AnswerWriter:
    """What the worker says of its requests."""

    def __init__(self, words, ring, fence):
        self.words = words
        self.ring = ring
        self.size = len(ring)
        self.fence = fence
        # Bytes written, modulo 2^32.
        self.written = 0

    def put(self, kind, request, first, second):
        """
        Copies a record to the main thread; False when there is no room for it. Before the main thread is told of it there has to be
        a fence, as make_waker() demands.
        """
        words = self.words
        ring = self.ring
        first_size = len(first)
        second_size = len(second)
        size = (first_size + second_size + _ROUNDED_UP) & -RECORD_HEADER
        written = self.written
        # The place is written over only if the main thread said that it is free, which holds the order even on ARM.
        used = (written - words[ANSWERS_FREED]) & _MODULO
        at = written & (self.size - 1)
        skipped = 0
        if at + size > self.size:
            skipped = self.size - at
        if used + skipped + size > self.size:
            return False
        if skipped:
            pack(ring, at, SKIP, 0, 0, 0)
            at = 0
        pack(ring, at, kind, request, first_size, second_size)
        at += RECORD_HEADER
        if first_size:
            ring[at : at + first_size] = first
            at += first_size
        if second_size:
            ring[at : at + second_size] = second
        self.written = written = (written + skipped + size) & _MODULO
        # The record is written before the count that covers it.
        self.fence()
        words[ANSWERS_WRITTEN] = written
        return True
