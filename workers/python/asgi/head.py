"""A response's head as ASGI has it: checked, and as it travels."""

import re
from http import HTTPStatus

from ..failures import ProtocolError, show

# RFC 9110, section 5.6.2 and 5.5.
is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
# A number of bytes that JavaScript holds exactly.
_is_length = re.compile(rb"[0-9]{1,15}").fullmatch
# The server frames the body and decides about the connection: what an application says of that is left out, as ASGI has it.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
    )
)
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

_MAX_CACHED = 512
_MAX_CACHED_SIZE = 512
_cached = {}


def build_head(status, headers):
    """The head on the wire: `status\\nname\\nvalue\\nname\\nvalue`, checked. The same ones come again and again."""
    try:
        fields = tuple([(name, value) for name, value in headers])
        key = (status, fields)
        head = _cached.get(key)
    except (TypeError, ValueError):
        raise ProtocolError("LIDO_MALFORMED_HEADER", f"list: {show(headers)}") from None
    if head is not None:
        return head
    head = _check_and_join(status, fields)
    if len(_cached) < _MAX_CACHED and len(head) < _MAX_CACHED_SIZE:
        _cached[key] = head
    return head


def build_accept(subprotocol, headers):
    """The head of the answer that opens a WebSocket."""
    fields = list_fields(headers)
    if subprotocol is not None:
        name = subprotocol.encode("latin-1", "replace") if isinstance(subprotocol, str) else b""
        if not is_token(name):
            raise ProtocolError("LIDO_MALFORMED_HEADER", f"subprotocol: {show(subprotocol)}")
        fields.append((b"Sec-WebSocket-Protocol", name))
    return _join(b"101 Switching Protocols", fields)


def list_fields(headers):
    try:
        return [(name, value) for name, value in headers]
    except (TypeError, ValueError):
        raise ProtocolError("LIDO_MALFORMED_HEADER", f"list: {show(headers)}") from None


def join_fields(fields):
    """Fields on the wire, `name\\nvalue\\nname\\nvalue`, checked."""
    parts = []
    for name, value in fields:
        _check_field(name, value)
        parts += (name, value)
    return b"\n".join(parts)


def _check_and_join(status, fields):
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise ProtocolError("LIDO_MALFORMED_STATUS", show(status))
    return _join(b"%d %b" % (status, _PHRASES.get(int(status), b"Unknown")), fields)


def _check_field(name, value):
    is_bytes = isinstance(name, bytes) and isinstance(value, bytes)
    if not is_bytes or not is_token(name) or not _is_value(value):
        raise ProtocolError("LIDO_MALFORMED_HEADER", show((name, value)))


def _join(line, fields):
    parts = [line]
    lengths = 0
    for name, value in fields:
        _check_field(name, value)
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            continue
        if lower == b"content-length":
            lengths += 1
            if lengths > 1 or not _is_length(value):
                raise ProtocolError("LIDO_MALFORMED_CONTENT_LENGTH", show(value))
        parts += (name, value)
    return b"\n".join(parts)
