"""bjoern has no command: so many processes on one port. Usage: serve_bjoern.py PORT PROCESSES MODULE"""

import importlib
import os
import signal
import sys

import bjoern

port, processes, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
sys.path.insert(0, os.getcwd())
bjoern.listen(importlib.import_module(module).application, "127.0.0.1", port, listen_backlog=4096)
children = []
for _ in range(processes):
    pid = os.fork()
    if pid == 0:
        bjoern.run()
        os._exit(0)
    children.append(pid)


def stop(*_):
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
os.waitpid(-1, 0)
