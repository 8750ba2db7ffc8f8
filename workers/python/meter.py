"""[6] What a request does with the GIL that all workers share: whether it computes, or waits while others could.

Time that a thread does not compute is one of three things: it waits for something else, it waits for the GIL, or the
system lets another thread run. The dispatcher needs the first alone. Were the second taken for it, then the more threads
fight for the GIL, the more it would look as if they waited, and the more would be opened.

- A thread that never went to sleep waited for nothing: the system counts how often it did (voluntary context switches).
- How long a thread was ready and did not run the system tells, too.
- How long the GIL takes to come is seen where a worker gives it up for a moment, between two requests. It goes to sleep for
  that once, and again whenever CPython's switch interval has passed, after which it asks whoever has the GIL to give it up.
  A request that waits for something goes to sleep once for that, and then as often for the GIL. So the number of its sleeps
  tells how much of them was for the GIL.
"""

from os import O_RDONLY, close, open as open_file, pread
from sys import getswitchinterval, setswitchinterval

# By name: what an application puts in its place (gevent does) does not put a thread to sleep.
from time import perf_counter_ns, sleep, thread_time_ns

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # only Linux counts for each thread
    RUSAGE_THREAD = None

# Measuring takes 2 microseconds, 4 where it slept, and gives the GIL up twice then, for which others may wait in a row. Of requests
# that are quicker than this one in eight is measured, and of all together one in so long, in nanoseconds.
_QUICK_NS = 1_000_000
_UNMEASURED = 7
_REST_NS = 1_000_000
# When the last that is measured began, in any worker.
_measured_at = 0

_ALL = 1023
_MAX_MICROSECONDS = (1 << 21) - 1

# How long the GIL took to come, in nanoseconds, and how often a thread slept for it: means for all workers, who write
# them with the GIL. They are seen anew after so long, in nanoseconds.
_gil_wait = 0.0
_gil_sleeps = 0.0
_seen_at = 0
_WEIGHT = 1 / 8
_FRESH_NS = 20_000_000
# Who sleeps for a moment, in seconds, and has the GIL at once, is back after so many nanoseconds.
_MOMENT = 1e-6
_MOMENT_NS = 100_000

# Who looks whether the GIL is free gives it up so often for so long, in seconds, and has it back at once each time. Code that holds it
# otherwise gives it up for some microseconds, too, as SQLite's module does around each row: once would be met by chance.
_LOOKS = 2
_BETWEEN_LOOKS = 0.0003
_AT_ONCE_NS = 600_000

# CPython's default, and what is better where threads wait beside one that computes: so much for each eight threads. Seconds.
_DEFAULT_INTERVAL = 0.005
_INTERVAL_OF_EIGHT = 0.001
# What was chosen last, as Python tells it.
_interval = _DEFAULT_INTERVAL


def pass_gil_sooner(threads):
    """
    A thread that is back from its wait mostly needs the GIL for a moment, to answer. It asks for it after 1 ms where CPython has 5.
    Nothing changes where nobody asks. But where many threads wait for it each of them wakes up to ask: the more there are, the
    later they do. An application that has chosen for itself is left alone.
    """
    global _interval
    if getswitchinterval() == _interval:
        setswitchinterval(min(_DEFAULT_INTERVAL, _INTERVAL_OF_EIGHT * max(1, threads / 8)))
        _interval = getswitchinterval()


class Meter:
    """Measures one worker's requests. To be made in its thread."""

    __slots__ = ("skip", "is_at_work", "began", "computed", "slept", "delayed", "has_slept", "is_stale", "file")

    def __init__(self):
        # Requests that are not measured before the next that is.
        self.skip = 0
        #: The one that runs is measured.
        self.is_at_work = False
        self.began = self.computed = self.slept = self.delayed = 0
        #: The last one that was measured went to sleep: only then it matters how long it was ready and did not run.
        self.has_slept = False
        #: Nobody has seen for a while how long the GIL takes to come.
        self.is_stale = False
        self.file = _open_delays()

    def close(self):
        if self.file is not None:
            close(self.file)
        self.file = None

    def begin(self):
        """A request begins."""
        global _measured_at
        now = perf_counter_ns()
        self.is_at_work = self.skip == 0 and now - _measured_at >= _REST_NS
        if self.is_at_work:
            _measured_at = now
            if self.has_slept:
                self.delayed = _read_delay(self.file)
            self.slept = count_sleeps()
            self.computed = thread_time_ns()
            now = perf_counter_ns()
        self.began = now

    def end(self):
        """It is over. Returns its manner as protocol.ts tells it, 0 where it was not measured."""
        ended = perf_counter_ns()
        took = ended - self.began
        if not self.is_at_work:
            self.skip = max(0, self.skip - 1) if took < _QUICK_NS else 0
            return 0
        computed = min(thread_time_ns() - self.computed, took)
        sleeps = sleeps_since(self.slept)
        delayed = _read_delay(self.file) - self.delayed if sleeps and self.has_slept else 0
        waited = find_waiting(took - computed - delayed, sleeps, _gil_wait, _gil_sleeps)
        self.skip = _UNMEASURED if took < _QUICK_NS else 0
        self.has_slept = sleeps > 0
        self.is_stale = self.has_slept and ended - _seen_at > _FRESH_NS
        share = computed / (computed + waited) if waited > 0 else 1
        return min(computed // 1000 + 1, _MAX_MICROSECONDS) << 10 | round(share * _ALL)

    def look(self):
        """Sees how long the GIL takes to come. Called between two requests."""
        global _gil_wait, _gil_sleeps, _seen_at
        self.is_stale = False
        slept = count_sleeps()
        delayed = _read_delay(self.file)
        began = perf_counter_ns()
        sleep(_MOMENT)
        _seen_at = perf_counter_ns()
        waited = max(0, _seen_at - began - (_read_delay(self.file) - delayed) - _MOMENT_NS)
        _gil_wait += (waited - _gil_wait) * _WEIGHT
        _gil_sleeps += (sleeps_since(slept) - 1 - _gil_sleeps) * _WEIGHT


def is_gil_free():
    """Nobody has held the GIL since a moment ago. It takes less than a millisecond, and where it is held ends with having it."""
    return all(_has_gil_at_once() for _ in range(_LOOKS))


def find_waiting(idle, sleeps, gil_wait, gil_sleeps):
    """
    How much of the time that a thread was not ready it waited for something else than the GIL: it slept so often, and those
    that wait for the GIL do so for `gil_wait` and sleep `gil_sleeps` times. All times in the same unit.
    """
    if sleeps == 0:
        return 0
    return max(0, idle - sleeps / (1 + gil_sleeps) * gil_wait)


def _open_delays():
    """Linux's figures of this thread's time; None where there are none."""
    try:
        return open_file("/proc/thread-self/schedstat", O_RDONLY)
    except OSError:
        return None


def _read_delay(file):
    """For how long the thread has been ready and did not run, in nanoseconds."""
    return 0 if file is None else int(pread(file, 64, 0).split()[1])


if RUSAGE_THREAD is None:

    def count_sleeps():
        return 0

    def sleeps_since(_):
        # Nobody tells: as if whatever is looked at waited once for itself and once for the GIL.
        return 2

    def _has_gil_at_once():
        began = perf_counter_ns()
        sleep(_BETWEEN_LOOKS)
        return perf_counter_ns() - began < _AT_ONCE_NS

else:

    def count_sleeps():
        """How often this thread has gone to sleep."""
        return getrusage(RUSAGE_THREAD).ru_nvcsw

    def sleeps_since(count):
        return count_sleeps() - count

    def _has_gil_at_once():
        # It sleeps once for itself, and again where it has to wait for the GIL, however late it is woken.
        before = count_sleeps()
        sleep(_BETWEEN_LOOKS)
        return sleeps_since(before) <= 1
