"""Says which process answers, after 5 ms of waiting; under /keeps it first keeps the GIL for six seconds."""

import ctypes
import os
import time

HEADERS = [("Content-Type", "text/plain")]


def application(environ, start_response):
    if environ["PATH_INFO"] == "/keeps":
        # PyDLL keeps the GIL in what it calls, as a backtracking regular expression does.
        ctypes.PyDLL(None).sleep(6)
    time.sleep(0.005)
    body = b"%d" % os.getpid()
    start_response("200 OK", [*HEADERS, ("Content-Length", str(len(body)))])
    return [body]
