"""A profile of the threads of an interpreter: where they stand, looked at many times a second."""

import json
import time
from time import perf_counter_ns

from .failures import is_own
from .interrupts import workers
from .stacks import name_thread

#: Innermost frames of one stack that are kept.
_MAX_DEPTH = 200

_IDLE = "(waits for a request)"


class Sampler:
    """Counts for each thread, by time that passed and, for workers, by time of the processor too."""

    def __init__(self, wanted):
        # The identity of the one worker that is looked at, 0 for all threads.
        self.wanted = wanted
        self.frames = {}
        self.profiles = {}
        self.last = perf_counter_ns()
        self.clocks = {}
        for worker in self.find_workers():
            self.clocks[worker.thread] = _read_clock(worker.thread)

    def find_workers(self):
        return [worker for worker in list(workers.values()) if self.wanted in (0, worker.thread)]

    def sample(self, frames):
        """`frames` as stacks.tell() takes them."""
        now = perf_counter_ns()
        passed, self.last = now - self.last, now
        rest = dict(frames)
        for worker in self.find_workers():
            frame = rest.pop(str(worker.state), None) or rest.pop(str(worker.thread), None)
            stack = self.read_stack(frame)
            name = f"worker {worker.labels.get('worker', '')} of {worker.labels.get('application', '')}"
            self.count(name, stack, passed)
            clock = _read_clock(worker.thread)
            self.count(f"{name}, processor time", stack, clock - self.clocks.get(worker.thread, clock))
            self.clocks[worker.thread] = clock
        if not self.wanted:
            for key, frame in rest.items():
                self.count(f"thread {name_thread(key, frame)}", self.read_stack(frame), passed)

    def read_stack(self, frame):
        """The numbers of its frames, the outermost first, without Lido's own."""
        stack = []
        while frame is not None and len(stack) < _MAX_DEPTH:
            code = frame.f_code
            if not is_own(code.co_filename):
                stack.append(self.number(code.co_filename, code.co_qualname if _QUALIFIED else code.co_name, frame.f_lineno))
            frame = frame.f_back
        return tuple(reversed(stack)) or (self.number("", _IDLE, 0),)

    def number(self, *place):
        return self.frames.setdefault(place, len(self.frames))

    def count(self, name, stack, nanoseconds):
        """What stands where it stood before is one sample that takes longer."""
        samples, weights = self.profiles.setdefault(name, ([], []))
        if samples and samples[-1] == stack:
            weights[-1] += nanoseconds
        else:
            samples.append(stack)
            weights.append(nanoseconds)

    def tell(self):
        """JSON of speedscope's file format."""
        return json.dumps(
            {
                "$schema": "https://www.speedscope.app/file-format-schema.json",
                "exporter": "lido",
                "shared": {"frames": [_describe(*place) for place in self.frames]},
                "profiles": [
                    {
                        "type": "sampled",
                        "name": name,
                        "unit": "nanoseconds",
                        "startValue": 0,
                        "endValue": sum(weights),
                        "samples": samples,
                        "weights": weights,
                    }
                    for name, (samples, weights) in self.profiles.items()
                ],
            }
        )


_QUALIFIED = hasattr(compile("", "", "exec"), "co_qualname")


def _describe(file, name, line):
    return {"name": name, "file": file, "line": line} if file else {"name": name}


def _read_clock(thread):
    """The thread's time of the processor; it lives, for it is a worker's, which the GIL keeps from leaving."""
    return time.clock_gettime_ns(time.pthread_getcpuclockid(thread))
