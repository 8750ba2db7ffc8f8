"""A response's head: checked, and as it travels."""

import re
from codecs import latin_1_encode

from .failures import ProtocolError, show

# RFC 9112, section 4: three digits, a space, a reason; 1xx is no final status.
_is_status = re.compile("[2-9][0-9][0-9] [\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff]").fullmatch
# RFC 9110, section 5.6.2 and 5.5.
_is_token = re.compile("[!#$%&'*+\\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile("[\t\x20-\x7e\x80-\xff]*").fullmatch
# A number of bytes that JavaScript holds exactly.
_is_length = re.compile("[0-9]{1,15}").fullmatch
# PEP 3333, "Other HTTP Features": an application has no say in what concerns the connection.
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)

# Names and values take turns: a value may read `Content-Length` too.
declares_length = re.compile(rb"[^\n]*(?:\n[^\n]*\n[^\n]*)*?\ncontent-length\n", re.IGNORECASE).match

_MAX_CACHED = 512
_MAX_CACHED_SIZE = 512
_cached = {}


def build_head(status, headers):
    """
    The head on the wire, `status\\nName\\nvalue\\nName\\nvalue` in latin-1, checked, and whether it has a Content-Length. The same
    ones come again and again.
    """
    if not isinstance(headers, list):
        raise ProtocolError("LIDO_MALFORMED_HEADER", f"list: {show(headers)}")
    try:
        key = (status, *headers)
        known = _cached.get(key)
    except TypeError:
        return _check_and_join(status, headers)  # a header that is a list, or no header at all
    if known is not None:
        return known
    known = _check_and_join(status, headers)
    if len(_cached) < _MAX_CACHED and len(known[0]) < _MAX_CACHED_SIZE:
        _cached[key] = known
    return known


def declare_length(head, length):
    """The head with a Content-Length, unless it has one or its status allows no body."""
    if head[:3] in (b"204", b"205", b"304") or declares_length(head):
        return head
    return b"%b\nContent-Length\n%d" % (head, length)


def build_hints(headers):
    """The fields of early hints on the wire, checked. RFC 8297."""
    if not isinstance(headers, (list, tuple)):
        raise ProtocolError("LIDO_MALFORMED_HEADER", f"list: {show(headers)}")
    hints = _join([], headers)
    # RFC 9110, section 8.6: what is on its way has no body.
    if declares_length(b"\n" + hints):
        raise ProtocolError("LIDO_MALFORMED_CONTENT_LENGTH", "of early hints")
    return hints


def _check_and_join(status, headers):
    if not isinstance(status, str) or not _is_status(status):
        raise ProtocolError("LIDO_MALFORMED_STATUS", show(status))
    head = _join([status], headers)
    return head, declares_length(head) is not None


def _join(parts, headers):
    # What was checked is what is sent, whatever class a pair is of.
    lengths = 0
    for header in headers:
        if not isinstance(header, (tuple, list)) or len(header) != 2:
            raise ProtocolError("LIDO_MALFORMED_HEADER", show(header))
        name, value = header
        if not isinstance(name, str) or not isinstance(value, str) or not _is_token(name) or not _is_value(value):
            raise ProtocolError("LIDO_MALFORMED_HEADER", show(header))
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            raise ProtocolError("LIDO_HOP_BY_HOP_HEADER", show(name))
        if lower == "content-length":
            lengths += 1
            if lengths > 1 or not _is_length(value):
                raise ProtocolError("LIDO_MALFORMED_CONTENT_LENGTH", show(value))
        parts += (name, value)
    return latin_1_encode("\n".join(parts))[0]
