"""[6] The environ as it comes ► the scope of a request. asgi.readthedocs.io, "HTTP & WebSocket ASGI Message Format"."""

from ..wire import FIXED_KEYS
from .head import is_token

_MAX_CACHED = 512
# Bytes of all names of header fields: browsers send a tenth of that, and whoever makes them up may send a hundred of 8 KB.
_MAX_CACHED_SIZE = 4096
_COUNT = len(FIXED_KEYS)
# Where a value is among the fixed ones.
(
    _METHOD,
    _ROOT,
    _PATH,
    _QUERY,
    _TARGET,
    _,
    _SERVER,
    _SERVER_PORT,
    _PROTOCOL,
    _CLIENT,
    _,
    _CLIENT_PORT,
    _SCHEME,
    _REQUEST_ID,
) = range(_COUNT)

_VERSION = {"version": "3.0", "spec_version": "2.5"}
# They have nothing to tell, so that all requests may share the empty dictionaries.
_EXTENSIONS = {"http.response.pathsend": {}, "http.response.early_hint": {}, "http.response.trailers": {}}
_WEBSOCKET_EXTENSIONS = {"websocket.http.response": {}}


class ScopeBuilder:
    """Builds the scopes of one worker's requests."""

    def __init__(self, state):
        #: What the application has left at its start; each request gets a copy.
        self.state = state
        # The names of header fields, by the keys that they come under; and whether there is something else among them.
        self.names = {}
        # Where requests come in, as scopes have it.
        self.servers = {}

    def build(self, wire):
        joined, _, values = wire.partition(b"\0\0")
        known = self.names.get(joined)
        if known is None:
            known = self.learn(joined)
        names, is_mixed = known
        values = values.split(b"\0")
        headers = list(zip(names, values[_COUNT:]))
        if is_mixed:
            headers = [field for field in headers if field[0] is not None]
        root = values[_ROOT]
        at = (values[_SERVER], values[_SERVER_PORT])
        server = self.servers.get(at)
        if server is None and at[1]:
            server = self.learn_server(at)
        extensions = _EXTENSIONS.copy()
        extensions["lido"] = {"request_id": values[_REQUEST_ID].decode("latin-1")}
        return {
            "type": "http",
            "asgi": _VERSION.copy(),
            "http_version": values[_PROTOCOL][5:].decode(),
            "method": values[_METHOD].decode(),
            "scheme": values[_SCHEME].decode(),
            "path": (root + values[_PATH] if root else values[_PATH]).decode("utf-8", "replace"),
            "raw_path": _cut_path(values[_TARGET]),
            "query_string": values[_QUERY],
            "root_path": root.decode("utf-8", "replace"),
            "headers": headers,
            "client": _name_client(values[_CLIENT], values[_CLIENT_PORT]),
            "server": server,
            "state": self.state.copy(),
            "extensions": extensions,
        }

    def build_websocket(self, wire):
        scope = self.build(wire)
        del scope["method"]
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = _list_subprotocols(scope["headers"])
        scope["extensions"] = {**_WEBSOCKET_EXTENSIONS, "lido": scope["extensions"]["lido"]}
        return scope

    def learn(self, joined):
        names = tuple(_name_field(key) for key in joined.split(b"\0")[_COUNT:])
        known = (names, None in names)
        if len(self.names) < _MAX_CACHED and len(joined) <= _MAX_CACHED_SIZE:
            self.names[joined] = known
        return known

    def learn_server(self, at):
        server = _name_end(*at)
        if len(self.servers) < _MAX_CACHED:
            self.servers[at] = server
        return server


def _name_field(key):
    """HTTP_USER_AGENT ► user-agent; None for what is no header field, but was added by whoever embeds the server."""
    if key.startswith(b"HTTP_"):
        key = key[5:]
    elif key not in (b"CONTENT_TYPE", b"CONTENT_LENGTH"):
        return None
    return key.lower().replace(b"_", b"-")


def _list_subprotocols(headers):
    """Those that a client offers, its favourite first; what is no token is passed over. RFC 6455, section 4.1."""
    offered = b",".join(value for name, value in headers if name == b"sec-websocket-protocol")
    names = [name.strip(b" \t") for name in offered.split(b",")]
    return [name.decode() for name in names if is_token(name)]


def _cut_path(target):
    """The path of a target as the client wrote it, in whichever of its forms. RFC 9112, section 3.2."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") and b"://" in path:
        return b"/" + path.split(b"://", 1)[1].partition(b"/")[2]
    return path


def _name_client(address, port):
    """A proxy tells of its client's address, and rarely of the port: that is 0, as uvicorn and Daphne have it."""
    return _name_end(address, port or b"0") if address else None


def _name_end(address, port):
    """None for a Unix socket, which has no address."""
    return (address.decode("latin-1"), int(port)) if port else None
