"""[6] The reading end of the ring in which a loop is told everything; see contract/ring.ts, and rings.py for the order of steps."""

from ..rings import is_offered, record_size, unpack
from ..wire import (
    ASKED,
    CLAIMED,
    HEARD,
    IN_LOOP,
    IS_FULL,
    LOOP_SLOT_BITS,
    PART,
    RECORD_HEADER,
    REQUEST,
    REQUESTS_FREED,
    REQUESTS_WRITTEN,
    SKIP,
    SLEEPING,
    STREAMED_REQUEST,
    WEBSOCKET,
)

_MODULO = 0xFFFFFFFF
_REQUESTS = frozenset((REQUEST, STREAMED_REQUEST, WEBSOCKET))


class Inbox:
    def __init__(self, words, ring, fence):
        self.words = words
        self.ring = ring
        self.size = len(ring)
        self.fence = fence
        # Bytes read, and requests claimed or passed over, modulo 2^32.
        self.read = 0
        self.claimed = 0
        # Pieces of what is not there whole yet, by the id of what they are about.
        self.parts = {}

    def take(self):
        """
        The next record as (kind, id, first, second), both contents as bytes; None where there is none. Requests are claimed,
        and those that were recalled are passed over.
        """
        words = self.words
        ring = self.ring
        while words[REQUESTS_WRITTEN] != self.read:
            # What the record says is read after the count that covers it.
            self.fence()
            at = self.read & (self.size - 1)
            kind, request, first_size, second_size = unpack(ring, at)
            if kind == SKIP:
                self.read = (self.read + self.size - at) & _MODULO
                continue
            at += RECORD_HEADER
            second_at = at + first_size
            first = bytes(ring[at:second_at])
            second = bytes(ring[second_at : second_at + second_size])
            self.read = (self.read + record_size(first_size + second_size)) & _MODULO
            if kind == PART:
                self.parts.setdefault(request, []).append(second)
                continue
            if self.parts:
                first, second = self.join(request, first, second)
            if kind in _REQUESTS and not self.claim(request):
                continue
            return kind, request, first, second
        return None

    def join(self, request, first, second):
        pieces = self.parts.pop(request, None)
        if pieces is None:
            return first, second
        head = b"".join(pieces)
        return (head + first, second) if first else (first, head + second)

    def claim(self, request):
        """CLAIMED is stored before OFFER is read, as protocol.ts demands."""
        self.claimed = (self.claimed + 1) & _MODULO
        self.words[CLAIMED] = self.claimed
        self.fence()
        return is_offered(self.words, request, LOOP_SLOT_BITS)

    def give_back(self):
        """Gives back the place of all that was read. True where the main thread has more than there was room for."""
        words = self.words
        self.fence()
        words[REQUESTS_FREED] = self.read
        self.fence()
        if not words[IS_FULL]:
            return False
        words[IS_FULL] = 0
        return True

    def give_sign(self):
        """Shows the main thread that the loop turns."""
        words = self.words
        asked = words[ASKED]
        if words[HEARD] != asked:
            words[HEARD] = asked

    def fall_asleep(self):
        """False where something has come meanwhile, of which the main thread does not tell."""
        words = self.words
        words[SLEEPING] = IN_LOOP
        self.fence()
        if words[REQUESTS_WRITTEN] == self.read and words[ASKED] == words[HEARD]:
            return True
        words[SLEEPING] = 0
        return False
