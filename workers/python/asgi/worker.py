"""[6] A worker thread's end of the gateway for ASGI: one event loop, in which many requests run at once.

The thread enters Python once, and stays in its loop until the session is closed. What it is told comes by the inbox, which is
looked at in each turn, and by the bell while the loop may be asleep. What is said goes to the ring of answers; the main thread is
woken once for all that a turn of the inbox brings about.
"""

import asyncio
import json
import os
import sys
import threading
from threading import get_ident

from .. import failures
from ..failures import LidoTimeout, LoadError, ProtocolError, describe_error, describe_failure, format_error, format_stack
from ..interrupts import refuse_all_frames, workers
from ..loader import load_application, shared
from ..log import voices
from ..output import captures, request_id
from ..prepare import prepare
from ..rings import AnswerWriter, find_slot_word, make_fence, pack
from ..stacks import format_task
from ..wire import (
    ACKED,
    ASKED,
    BINARY,
    BLOCK,
    CANCEL,
    CLOSE,
    CLOSED,
    DESK_HEADER,
    END,
    HEARD,
    LEFT,
    LOOP_SLOT_BITS,
    MAX_BLOCK,
    MESSAGE,
    REQUEST,
    ROOM,
    STREAMED_REQUEST,
    TEXT,
    TOLD,
    WAITS,
    WEBSOCKET,
)
from .http import HttpCycle
from .inbox import Inbox
from .lifespan import Lifespan
from .loops import close_loop, make_bell, make_loop, silence
from .scope import ScopeBuilder
from .states import STARTED
from .websocket import WebSocketCycle

# Records that are looked at before the tasks of others come to their turn.
_MOST_AT_ONCE = 64
# Records of one turn after which the main thread is told of them: it can begin, and is not woken for each.
_MOST_UNTOLD = 16
# How long a head waits for its body, in seconds: two writes cost more than one.
_PATIENCE = 0.002
# Of what went wrong, in characters: of a traceback the end.
_MAX_TEXT = 32768
_MAX_TRACE = 98304
# Requests whose tasks are told of: there may be thousands.
_MOST_TOLD = 20
_HAS_EAGER_TASKS = sys.version_info >= (3, 12)
_BEGINS_LATER = not _HAS_EAGER_TASKS
_TAKES_CONTEXT = sys.version_info >= (3, 11)


class LoopWorker:
    """One worker thread's end of the gateway: its loop, its rings, the requests that it runs."""

    def __init__(self, application, context, timeout):
        self.thread = get_ident()
        #: The address of the thread's state, for whoever looks from outside; and no one request, for there are many.
        self.state = self.request = 0
        #: What lines of the log say of it.
        self.labels = {}
        self.application = application
        self.context = context
        #: Seconds, for the message that names it.
        self.timeout = timeout
        self.loop = self.lifespan = self.scopes = None
        self.bell = None
        self.call = self.tell = self.desk = self.words = None
        self.inbox = self.answers = None
        #: What runs and what the main thread waits for, by its id.
        self.cycles = {}
        #: All whose tasks go on, be it behind their answers.
        self.running = set()
        #: In the midst of a turn of the inbox; what is said meanwhile is told at its end.
        self.is_reading = False
        self.untold = 0
        #: Those that have begun an answer in this turn, and not sent its head.
        self.begun = []
        self.is_closing = False
        self.is_over = False
        #: Set once the thread is about to leave Python.
        self.left = threading.Event()
        #: What the application prints becomes lines of the log.
        self.captures = captures()
        self.handlers = {
            REQUEST: self.begin_whole,
            STREAMED_REQUEST: self.begin_streamed,
            BLOCK: self.feed,
            END: self.end_body,
            LEFT: self.lose_client,
            CANCEL: self.cancel,
            ROOM: self.give_room,
            CLOSE: self.close,
            WEBSOCKET: self.begin_websocket,
            TEXT: self.take_text,
            BINARY: self.take_bytes,
            CLOSED: self.close_websocket,
        }

    # ---- The worker's life ----------------------------------------------------------------------------------

    def open(self, kind):
        """Makes the loop and lets the application start in it. Returns what to call the loop. Raises LoadError."""
        self.loop, name = make_loop(kind)
        asyncio.set_event_loop(self.loop)
        try:
            line = self.loop.run_until_complete(self.start_application())
        except BaseException:
            close_loop(self.loop, 1)
            raise
        if line is not None:
            self.log(line, "info")
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
        self.inbox = Inbox(words, inbox, fence)
        self.answers = AnswerWriter(words, answers, fence)

    def serve(self):
        """Runs the loop until the session is closed."""
        self.loop.add_reader(self.bell, self.wake)
        self.loop.call_soon(self.read)
        while not self.is_over:
            try:
                self.loop.run_forever()
            except BaseException as error:
                # A task that asks the process to end, or a time-out that came too late.
                self.log(f"the event loop was stopped: {format_error(error)}")
        self.loop.remove_reader(self.bell)
        os.close(self.bell)
        close_loop(self.loop, 1)
        self.left.set()

    # ---- What comes -----------------------------------------------------------------------------------------

    def wake(self):
        silence(self.bell)
        self.read()

    def read(self):
        """Takes what is there, a part at a time, and lets the main thread ring once there is nothing more."""
        inbox = self.inbox
        inbox.give_sign()
        self.is_reading = True
        count = 0
        record = inbox.take()
        while record is not None:
            self.handle(*record)
            count += 1
            record = inbox.take() if count < _MOST_AT_ONCE else None
        if inbox.give_back():
            self.say_of_worker("room")
        if self.begun:
            self.look_at_begun()
        self.is_reading = False
        if self.untold:
            self.tell_main()
        # Tasks that have yet to begin do so in the next turn, and then there may be something new without the bell.
        if (count if _BEGINS_LATER else count == _MOST_AT_ONCE) or not inbox.fall_asleep():
            self.loop.call_soon(self.read)

    def handle(self, kind, request, first, second):
        try:
            self.handlers[kind](request, first, second)
        except BaseException as error:
            self.log(f"the gateway failed: {format_error(error)}")

    def begin_whole(self, request, environ, body):
        self.begin(request, environ, body)

    def begin_streamed(self, request, environ, _):
        self.begin(request, environ, None)

    def begin(self, request, environ, body):
        self.start(HttpCycle(self, request, self.scopes.build(environ), body))

    def begin_websocket(self, request, environ, _):
        self.start(WebSocketCycle(self, request, self.scopes.build_websocket(environ)))

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

    def feed(self, request, _, chunk):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.feed(chunk)

    def end_body(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.end_body()

    def lose_client(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.lose_client()

    def cancel(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            trace = _clean(format_task(cycle.task))[-_MAX_TRACE:]
            self.say(cycle, "log", "error", "its task stood here", {"traceback": trace})
            cycle.cancel()

    def give_room(self, request, *_):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.tell_room()

    def take_text(self, request, _, content):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.take_in(TEXT, content)

    def take_bytes(self, request, _, content):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.take_in(BINARY, content)

    def close_websocket(self, request, code, reason):
        cycle = self.cycles.get(request)
        if cycle is not None:
            cycle.close(int(code), reason.decode())

    def close(self, _, seconds, __):
        if not self.is_closing:
            self.is_closing = True
            self.ending = self.loop.create_task(self.end(float(seconds)))

    def end_from_elsewhere(self, seconds):
        """For another thread, at the process's end."""
        if not self.left.is_set():
            self.loop.call_soon_threadsafe(self.close, 0, seconds, None)

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
                self.log(line)
        finally:
            self.is_over = True
            self.loop.stop()

    async def wait_for_tasks(self, seconds):
        tasks = [cycle.task for cycle in self.running]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    # ---- What is said ---------------------------------------------------------------------------------------

    def put(self, cycle, kind, first, second):
        """A record about a request to the main thread: by the ring, or where that has no room as a message."""
        if not cycle.is_posted and self.put_in_ring(kind, cycle.request, first, second):
            return
        cycle.is_posted = True
        self.post(kind, cycle.request, first, second)

    def put_in_ring(self, kind, request, first, second):
        if self.answers is None or not self.answers.put(kind, request, first, second):
            return False
        self.untold += 1
        if not self.is_reading:
            if self.untold == 1:
                self.loop.call_soon(self.tell_main)
            elif self.untold >= _MOST_UNTOLD:
                self.tell_main()
        return True

    def tell_main(self):
        self.untold = 0
        if not self.words[TOLD]:
            self.tell()

    def post(self, kind, request, first, second):
        desk = self.desk
        middle = DESK_HEADER + len(first)
        desk[DESK_HEADER:middle] = first
        desk[middle : middle + len(second)] = second
        pack(desk, 0, kind, request, len(first), len(second))
        self.call()

    def say(self, cycle, kind, *details):
        """One of the messages of protocol.ts."""
        self.put(cycle, MESSAGE, b"", json.dumps([kind, cycle.request, *details]).encode())

    def say_of_worker(self, kind, *details):
        text = json.dumps([kind, 0, *details]).encode()
        if not self.put_in_ring(MESSAGE, 0, b"", text):
            self.post(MESSAGE, 0, b"", text)

    def log(self, text, level="error"):
        self.say_of_worker("log", level, _cut(text))

    def describe(self, error):
        """Code, arguments and traceback of what an application raised."""
        trace = _clean(format_error(error))[-_MAX_TRACE:]
        if isinstance(error, ProtocolError):
            return error.code, error.args, trace
        if isinstance(error, LidoTimeout):
            return "LIDO_TIMED_OUT", (self.timeout,), trace
        return "LIDO_APPLICATION_RAISED", (describe_error(error),), trace

    def tell_of(self, cycle, code, args, trace):
        """What went wrong behind an answer: the main thread has let go of the request."""
        message, _ = failures.fill(code, [_clean(str(argument))[:_MAX_TEXT] for argument in args])
        scope = cycle.scope
        fields = {
            "requestId": cycle.request_id,
            "method": scope.get("method", "websocket"),
            "url": scope["raw_path"].decode("latin-1"),
            "code": code,
            "traceback": trace,
        }
        self.say_of_worker("log", "error", message, fields)

    def fail(self, cycle, code, args, trace):
        message, remedy = failures.fill(code, [_clean(str(argument))[:_MAX_TEXT] for argument in args])
        self.say(cycle, "fail", {"code": code, "message": message, "remedy": remedy, "traceback": trace})

    # ---- What a request asks of its worker ------------------------------------------------------------------

    def expect_body(self, cycle):
        """An answer has begun: its head goes out with the body, or alone where that does not follow soon."""
        if not self.begun and not self.is_reading:
            self.loop.call_soon(self.look_at_begun)
        self.begun.append(cycle)

    def look_at_begun(self):
        """Most have their body by the end of the turn. Middleware may take some turns to pass it on."""
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
                "url": _clean(cycle.scope["path"]),
                "stack": _clean(format_task(cycle.task))[-_MAX_TRACE:],
            }
            for cycle in waiting
        ]

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
        worker = LoopWorker(application, context, str(settings["timeout"]))
        worker.call, worker.desk = call, desk
        worker.state, worker.labels = settings["state"], settings["labels"]
        voices[worker.thread] = worker.log
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
    worker.call = worker.tell = worker.desk = worker.words = None
    worker.inbox = worker.answers = None


def _clean(text):
    """Text that can be told to others: half a surrogate is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _cut(text):
    return text.encode("utf-8", "backslashreplace")[:MAX_BLOCK].decode("utf-8", "ignore")
