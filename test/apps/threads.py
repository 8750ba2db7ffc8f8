"""What an application sees of the threads that it runs in."""

import threading

four = threading.Barrier(4)


def meets_three_others(environ, start_response):
    """Answers once four requests run at the same time."""
    four.wait(10)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % threading.get_ident()]
