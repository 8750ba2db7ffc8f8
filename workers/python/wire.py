"""What crosses to JavaScript: two byte buffers, whose first four 32-bit integers say what is in them."""

from struct import Struct

_ints = Struct("=4i")
pack = _ints.pack_into
unpack = _ints.unpack_from
#: Bytes before the content.
HEADER = 16

#: What the outbox holds; the same numbers as in cpython.ts.
RESPONSE, HEAD, BLOCK, END, FAIL, LOG, READ, FILE, WHOLE = range(1, 10)
#: What post() found, in the inbox; the same numbers as in cpython.ts.
OK, CLIENT_GONE = 0, 1
