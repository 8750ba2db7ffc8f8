"""[6] A worker thread's end of the gateway for ASGI: one event loop, in which many requests run at once.

The thread enters Python once, and stays in its loop until the session is closed. What it is told comes by the inbox, which is
looked at in each turn, and by the bell while the loop may be asleep (listener.py). What is said goes to the ring of answers; the
main thread is woken once for all that a turn of the inbox brings about (outbox.py).
"""

import asyncio
import json
import os
import sys
import threading
from threading import get_ident

from .. import failures
from ..failures import LoadError, describe_failure, format_error, format_stack
from ..interrupts import refuse_all_frames, workers
from ..loader import load_application, shared
from ..log import voices
from ..output import captures, request_id
from ..prepare import prepare
from ..rings import AnswerWriter, find_slot_word, make_fence
from ..stacks import format_task
from ..wire import ACKED, ASKED, HEARD, LOOP_SLOT_BITS, WAITS
from .inbox import Inbox
from .lifespan import Lifespan
from .listener import Listener
from .loops import close_loop, make_bell, make_loop
from .outbox import MAX_TRACE, Outbox, clean
from .scope import ScopeBuilder
from .states import STARTED

# How long a head waits for its body, in seconds: two writes cost more than one.
_PATIENCE = 0.002
# Requests whose tasks are told of: there may be thousands.
_MOST_TOLD = 20
_HAS_EAGER_TASKS = sys.version_info >= (3, 12)
_TAKES_CONTEXT = sys.version_info >= (3, 11)


class LoopWorker:
    """One worker thread's end of the gateway: its loop, its rings, the requests that it runs."""

    def __init__(self, application, context, settings):
        self.thread = get_ident()
        #: The address of the thread's state, for whoever looks from outside; and no one request, for there are many.
        self.state = self.request = 0
        #: What lines of the log say of it.
        self.labels = {}
        self.application = application
        self.context = context
        self.outbox = Outbox(str(settings["timeout"]))
        self.loop = self.lifespan = self.scopes = self.listener = None
        self.bell = None
        self.words = self.fence = None
        #: What runs and what the main thread waits for, by its id.
        self.cycles = {}
        #: All whose tasks go on, be it behind their answers.
        self.running = set()
        #: So many tasks may go on behind their answers without keeping the places of their requests; and it was told that they do.
        self.places = settings["concurrency"]
        self.is_crowded = False
        #: Those that have begun an answer in this turn, and not sent its head.
        self.begun = []
        self.is_closing = False
        self.is_over = False
        #: Set once the thread is about to leave Python.
        self.left = threading.Event()
        #: What the application prints becomes lines of the log.
        self.captures = captures()

    def part_from_fork(self, end):
        """As that of the gateway for WSGI."""
        self.outbox.put = self.outbox.post = lambda *_: end()

    # ---- The worker's life ----------------------------------------------------------------------------------

    def open(self, kind):
        """Makes the loop and lets the application start in it. Returns what to call the loop. Raises LoadError."""
        self.loop, name = make_loop(kind)
        self.outbox.loop = self.loop
        asyncio.set_event_loop(self.loop)
        try:
            line = self.loop.run_until_complete(self.start_application())
        except BaseException:
            close_loop(self.loop, 1)
            raise
        if line is not None:
            self.outbox.log(line, "info")
        self.scopes = ScopeBuilder(self.lifespan.state)
        self.bell, rope = make_bell()
        return name, rope

    async def start_application(self):
        self.lifespan = Lifespan(self.application, self.context)
        return await self.lifespan.start()

    def attach(self, control, inbox, answers):
        """Takes the memory that is shared with the main thread."""
        self.words = words = control.cast("I")
        fence = make_fence()
        self.fence = fence
        self.outbox.attach(AnswerWriter(words, answers, fence), words, fence)
        self.listener = Listener(self, Inbox(words, inbox, fence), begins_later=not _HAS_EAGER_TASKS)

    def serve(self):
        """Runs the loop until the session is closed."""
        self.loop.add_reader(self.bell, self.listener.wake)
        self.loop.call_soon(self.listener.read)
        while not self.is_over:
            try:
                self.loop.run_forever()
            except BaseException as error:
                # A task that asks the process to end, or a time-out that came too late.
                self.outbox.log(f"the event loop was stopped: {format_error(error)}")
        self.loop.remove_reader(self.bell)
        os.close(self.bell)
        close_loop(self.loop, 1)
        self.outbox.close()
        self.left.set()

    # ---- Requests -------------------------------------------------------------------------------------------

    def start(self, cycle):
        """Starts a request's task, with context variables of its own."""
        self.cycles[cycle.request] = cycle
        start = cycle.run(self.application)
        context = self.context.copy()
        if self.captures:
            context.run(request_id.set, cycle.request_id)
        if _HAS_EAGER_TASKS:
            # It runs at once, up to where it waits for the first time; many wait for nothing.
            cycle.task = task = asyncio.Task(start, loop=self.loop, eager_start=True, context=context)
            if not task.done():
                self.running.add(cycle)
        elif _TAKES_CONTEXT:
            cycle.task = self.loop.create_task(start, context=context)
            self.running.add(cycle)
        else:
            cycle.task = context.run(self.loop.create_task, start)
            self.running.add(cycle)

    # ---- What a request asks of its worker ------------------------------------------------------------------

    def expect_body(self, cycle):
        """An answer has begun: its head goes out with the body, or alone where that does not follow soon."""
        if not self.begun and not self.outbox.is_gathering:
            self.loop.call_soon(self.look_at_begun)
        self.begun.append(cycle)

    def look_at_begun(self):
        """Most have their body by the end of the turn. Middleware may take some turns to pass it on."""
        if not self.begun:
            return
        late = [cycle for cycle in self.begun if cycle.state == STARTED]
        self.begun = []
        if late:
            self.loop.call_later(_PATIENCE, self.flush_heads, late)

    def flush_heads(self, cycles):
        for cycle in cycles:
            cycle.flush_head()

    def read_acked(self, request):
        return self.words[find_slot_word(request, ACKED, LOOP_SLOT_BITS)]

    def forget_acked(self, request):
        self.words[find_slot_word(request, ACKED, LOOP_SLOT_BITS)] = 0

    def store_wish(self, request):
        self.words[find_slot_word(request, WAITS, LOOP_SLOT_BITS)] = request
        self.fence()

    def forget(self, cycle):
        """The main thread has its answer."""
        self.cycles.pop(cycle.request, None)

    def has_many_behind(self):
        """Whether as many tasks go on behind their answers as there are places. It is told once, until there are half as many."""
        behind = len(self.running) - len(self.cycles)
        if behind >= self.places:
            if not self.is_crowded:
                self.is_crowded = True
                self.outbox.log(f"{behind} tasks go on behind their answers: each further one keeps its request's place", "warn")
            return True
        if self.is_crowded and behind * 2 <= self.places:
            self.is_crowded = False
        return False

    def leave(self, cycle):
        """Its task is over."""
        self.running.discard(cycle)

    def describe_tasks(self):
        """Where requests wait, for whoever looks from outside; of the first of them. protocol.ts's PythonTask."""
        waiting = [cycle for cycle in list(self.running)[:_MOST_TOLD] if cycle.task is not None]
        return [
            {
                "request": cycle.request,
                "requestId": cycle.request_id,
                "method": cycle.scope.get("method", "GET"),
                "url": clean(cycle.scope["path"]),
                "stack": clean(format_task(cycle.task))[-MAX_TRACE:],
            }
            for cycle in waiting
        ]

    # ---- The end --------------------------------------------------------------------------------------------

    def close(self, seconds):
        """Everything has so long to come to its end."""
        if not self.is_closing:
            self.is_closing = True
            self.ending = self.loop.create_task(self.end(seconds))

    def end_from_elsewhere(self, seconds):
        """For another thread, at the process's end."""
        if not self.left.is_set():
            self.loop.call_soon_threadsafe(self.close, seconds)

    async def end(self, seconds):
        """Whatever still runs is cancelled, but what goes on behind an answer has half the time for it. Then the application ends."""
        deadline = self.loop.time() + seconds
        try:
            for cycle in list(self.cycles.values()):
                cycle.cancel()
            await self.wait_for_tasks(seconds / 2)
            for cycle in list(self.running):
                cycle.cancel()
            await self.wait_for_tasks(min(1, seconds / 4))
            line = await self.lifespan.stop(max(0.1, deadline - self.loop.time()))
            if line is not None:
                self.outbox.log(line)
        finally:
            self.is_over = True
            self.loop.stop()

    async def wait_for_tasks(self, seconds):
        tasks = [cycle.task for cycle in self.running]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    # ---- The host -------------------------------------------------------------------------------------------

    def interrupt(self, sign, frame, raise_timeout):
        """
        Called by the host for a loop that has not given the sign of this number. Returns where its thread stands, '' where it
        has gone on. The thread cannot run meanwhile, and takes the exception before it does anything else in that frame.
        """
        if self.words is None or self.words[ASKED] != sign or self.words[HEARD] == sign:
            return ""
        stack = format_stack(frame)
        raise_timeout()
        return stack


def start(settings, call, desk):
    """
    Makes this thread's worker, and starts the application in its loop. Returns the worker, None where that failed, and JSON:
    {"thread", "loop", "bell"}, or {"failure"}.
    """
    failures.messages.update(settings["messages"])
    if settings["isolated"]:
        refuse_all_frames()
    try:
        if settings["shared"]:
            application, context = shared[settings["shared"]]
        else:
            prepare(settings["messages"], settings["log_fd"])
            application, context, _ = load_application(settings)
        worker = LoopWorker(application, context, settings)
        worker.outbox.call, worker.outbox.desk = call, desk
        worker.state, worker.labels = settings["state"], settings["labels"]
        voices[worker.thread] = worker.outbox.log
        loop, bell = worker.open(settings["loop"])
    except LoadError as error:
        voices.pop(get_ident(), None)
        return None, json.dumps({"failure": describe_failure(error)})
    workers[worker.thread] = worker
    return worker, json.dumps({"thread": worker.thread, "loop": loop, "bell": bell})


def forget(worker):
    """The worker's thread ends, and with it the buffers."""
    workers.pop(worker.thread, None)
    voices.pop(worker.thread, None)
    worker.outbox.call = worker.outbox.tell = worker.outbox.desk = None
    worker.outbox.attach(None, None, None)
    worker.words = worker.listener = None
