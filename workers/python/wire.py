"""What crosses to JavaScript: two byte buffers, whose first four 32-bit integers say what is in them."""

from struct import Struct

_ints = Struct("=4i")
pack = _ints.pack_into
unpack = _ints.unpack_from
_int = Struct("=i")
#: Bytes before the content.
HEADER = 16

#: What the outbox holds; the same numbers as in cpython.ts.
RESPONSE, HEAD, BLOCK, END, FAIL, LOG, READ, FILE, WHOLE = range(1, 10)
#: What post() found, in the inbox; the same numbers as in cpython.ts.
OK, CLIENT_GONE = 0, 1


def pack_manner(outbox, manner):
    """Puts into the outbox what the request did with the GIL, beside the end of it: the fourth integer."""
    _int.pack_into(outbox, 12, manner)
