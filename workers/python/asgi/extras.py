"""[6] What goes beside an answer's head and body: early hints ahead of it, trailers behind it. asgi.readthedocs.io, "Extensions"."""

from ..failures import ProtocolError, show
from ..head import declares_length
from ..wire import MAX_HEAD
from .head import join_fields, list_fields
from .states import AWAITED, STARTED, TRAILING

# What a client needs before it takes the body, or who may see it, comes too late in a trailer. RFC 9110, section 6.5.1.
_NO_TRAILERS = frozenset(
    b"""age authorization cache-control connection content-encoding content-length content-range content-type cookie date
    expect expires host keep-alive location max-forwards pragma proxy-authenticate proxy-authorization proxy-connection
    range retry-after set-cookie te trailer transfer-encoding upgrade vary warning www-authenticate""".split()
)


def give_hints(cycle, links):
    """103, with these values of Link. Of no use any more once the head is out. RFC 8297."""
    if cycle.state in (AWAITED, STARTED):
        hints = join_fields([(b"Link", link) for link in links])
        cycle.hinted += len(hints)
        _check_size(cycle.hinted)
        if hints:
            cycle.outbox.say("hint", cycle.request, hints.decode("latin-1"))


class Trailers:
    """The trailers that an application has announced. They go out to clients that ask for them, behind a body in chunks."""

    def __init__(self, headers):
        self.parts = []
        self.size = 0
        #: Their names as the application announces them; build_head() leaves them out.
        self.names = [(name, value) for name, value in headers if name.lower() == b"trailer"]

    def announce(self, head):
        return head + b"\n" + join_fields(self.names) if self.names else head

    def add(self, cycle, message):
        """Takes a message of the application. Those that nobody gets are checked as well: most clients ask for none."""
        fields = list_fields(message.get("headers", ()))
        part = join_fields(fields)
        for name, _ in fields:
            lower = name.lower()
            if lower in _NO_TRAILERS or lower.startswith(b"if-"):
                raise ProtocolError("LIDO_FORBIDDEN_TRAILER", show(name))
        self.size += len(part)
        _check_size(self.size)
        if part:
            self.parts.append(part)
        if not message.get("more_trailers", False):
            self.end(cycle)

    def end(self, cycle):
        cycle.trailers = None
        if cycle.state != TRAILING:
            return
        if self.parts:
            cycle.outbox.say("trailers", cycle.request, b"\n".join(self.parts).decode("latin-1"))
        cycle.finish()


def are_wanted(scope, head):
    """Whether they can be sent, to a client that says that it takes them. RFC 9110, section 6.5, and RFC 9112, section 7.1.2."""
    if scope["http_version"] != "1.1" or scope.get("method") == "HEAD" or head[:3] in (b"204", b"205", b"304"):
        return False
    codings = b",".join(value for name, value in scope["headers"] if name == b"te").lower().split(b",")
    asks = any(coding.partition(b";")[0].strip() == b"trailers" for coding in codings)
    return asks and not declares_length(head)


def _check_size(size):
    if size > MAX_HEAD:
        raise ProtocolError("LIDO_MALFORMED_HEADER", "list: it is too large")
