"""[6] What a request does with the GIL that all workers share: whether it computes, or waits while others could.

Time that a thread does not compute is one of three things: it waits for something else, it waits for the GIL, or the
system lets another thread run. The dispatcher needs the first alone. Were the second taken for it, then the more threads
fight for the GIL, the more it would look as if they waited, and the more would be opened.

- A thread that never went to sleep waited for nothing: the system counts how often it did (voluntary context switches).
- How long the GIL takes to come is seen at the start of each request, where a worker asks for it. A request that went to
  sleep n times went n - 1 times for the GIL at most, and as long as that each time; the rest is its own waiting.
"""

from time import perf_counter_ns, thread_time_ns

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # only Linux counts for each thread
    RUSAGE_THREAD = None

# A request that takes longer is measured always: measuring takes 2 microseconds. Of those that are quicker, one in eight.
_QUICK_NS = 1_000_000
_UNMEASURED = 7

_ALL = 1023
_MAX_MICROSECONDS = (1 << 21) - 1

# How long the GIL took to come, in nanoseconds: a mean for all workers, who write it with the GIL.
_delay = 0.0
_DELAY_WEIGHT = 1 / 16


class Meter:
    """Measures one worker's requests."""

    __slots__ = ("skip", "began", "computed", "slept")

    def __init__(self):
        # Requests that are not measured before the next that is; negative while one is.
        self.skip = 0
        self.began = self.computed = self.slept = 0

    def begin(self, delay):
        """A request begins; the GIL took `delay` nanoseconds to come."""
        global _delay
        if self.skip == 0:
            _delay += (delay - _delay) * _DELAY_WEIGHT
            self.slept = count_sleeps()
            self.computed = thread_time_ns()
        self.began = perf_counter_ns()

    def end(self):
        """It is over. Returns its manner as protocol.ts tells it, 0 where it was not measured."""
        took = perf_counter_ns() - self.began
        if self.skip > 0:
            self.skip = self.skip - 1 if took < _QUICK_NS else 0
            return 0
        computed = min(thread_time_ns() - self.computed, took)
        waited = _find_waiting(took - computed, sleeps_since(self.slept))
        self.skip = _UNMEASURED if took < _QUICK_NS else 0
        share = computed / (computed + waited) if waited > 0 else 1
        return min(computed // 1000 + 1, _MAX_MICROSECONDS) << 10 | round(share * _ALL)


def _find_waiting(idle, sleeps):
    """How much of the time that a thread did not compute it waited for something else than the GIL or the processor."""
    if sleeps == 0:
        return 0
    return max(0, idle - (sleeps - 1) * _delay)


if RUSAGE_THREAD is None:

    def count_sleeps():
        return 0

    def sleeps_since(_):
        # Nobody tells: as if whatever is looked at waited once for itself and once for the GIL.
        return 2

else:

    def count_sleeps():
        """How often this thread has gone to sleep."""
        return getrusage(RUSAGE_THREAD).ru_nvcsw

    def sleeps_since(count):
        return count_sleeps() - count
