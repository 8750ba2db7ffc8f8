"""What an application may do to the process that it shares."""

import faulthandler
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import threading
import time


def double(number):
    return number * 2


def application(environ, start_response):
    start_response("200 OK", [])
    return [repr([run_command(), fork(), set_signal_handler(), map_in_processes(), query(), stay_behind()]).encode()]


def run_command():
    return subprocess.run(["echo", "said"], capture_output=True, check=True).stdout


def fork():
    child = os.fork()
    if child == 0:
        os._exit(3)
    return os.waitpid(child, 0)[1] >> 8


def set_signal_handler():
    faulthandler.enable()
    # The server's own is left alone; another one can be handled by the main thread only.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    except ValueError:
        return "not in this thread"


def map_in_processes():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(double, [1, 2])


def query():
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute("select 1").fetchone()
    finally:
        connection.close()


def stay_behind():
    """A thread that outlives the request, and the process's end."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "behind"
