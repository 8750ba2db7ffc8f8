"""Requests of known cost: /tiny, /cpu/MS of work on one core, /wait/MS of waiting for something else, /both/MS/MS of one and the other."""

import os
import time

UNITS_PER_MS = float(os.environ.get("BENCH_PYTHON_UNITS_PER_MS", "10"))


def burn(units):
    """Pure Python work that holds the GIL: a unit is a thousand steps of an integer mix."""
    mix = 1
    for _ in range(int(units * 1000)):
        mix = (mix * 1103515245 + 12345) & 0x7FFFFFFF
    return mix


def application(environ, start_response):
    action, _, amount = environ["PATH_INFO"][1:].partition("/")
    if action == "cpu":
        burn(int(amount) * UNITS_PER_MS)
    elif action == "wait":
        time.sleep(int(amount) / 1000)
    elif action == "both":
        work, _, wait = amount.partition("/")
        burn(int(work) * UNITS_PER_MS)
        time.sleep(int(wait) / 1000)
    body = b"done\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
