"""The application's start and end: asgi.readthedocs.io, "Lifespan Protocol". Once for each loop."""

import asyncio

from ..failures import LoadError, ProtocolError, describe_error, format_error, show

_STARTUP, _RUNNING, _SHUTDOWN, _OVER = range(4)

# What may be said in each state.
_ANSWERS = {
    _STARTUP: ("lifespan.startup.complete", "lifespan.startup.failed"),
    _SHUTDOWN: ("lifespan.shutdown.complete", "lifespan.shutdown.failed"),
}


class Lifespan:
    def __init__(self, application, context):
        self.application = application
        self.context = context
        #: What the application leaves here is there for each request.
        self.state = {}
        self.stage = _STARTUP
        #: What the application said last.
        self.answer = None
        self.task = None
        self.told = asyncio.Event()
        self.wanted = asyncio.Event()

    async def start(self):
        """
        Returns once the application has started, with what is worth a line of the log, or None. Raises LoadError where it
        says that it cannot; one that raises instead has no lifespan.
        """
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        loop = asyncio.get_running_loop()
        self.task = self.context.run(loop.create_task, self.run(scope))
        self.wanted.set()
        await self.wait_for_answer()
        if self.answer is not None and self.answer["type"] == "lifespan.startup.failed":
            await asyncio.wait((self.task,), timeout=1)
            raise LoadError("LIDO_STARTUP_FAILED", self.answer.get("message") or "it gives no reason")
        if self.answer is not None:
            self.stage = _RUNNING
            return None
        self.stage = _OVER
        error = self.task.exception()
        return None if error is None else f"the application has no lifespan: it raised {describe_error(error)}"

    async def run(self, scope):
        await self.application(scope, self.receive, self.send)

    async def stop(self, seconds):
        """Returns what went wrong, or None."""
        if self.stage != _RUNNING:
            return None
        self.stage = _SHUTDOWN
        self.answer = None
        self.told.clear()
        self.wanted.set()
        try:
            await asyncio.wait_for(self.wait_for_answer(), seconds)
        except asyncio.TimeoutError:
            self.task.cancel()
            return f"the application's lifespan.shutdown took longer than {seconds:.1f} s"
        if self.answer is not None and self.answer["type"] == "lifespan.shutdown.failed":
            return f"the application failed at lifespan.shutdown: {self.answer.get('message') or 'it gives no reason'}"
        error = self.task.exception() if self.task.done() and not self.task.cancelled() else None
        return None if error is None else f"the application failed at lifespan.shutdown: {format_error(error)}"

    async def wait_for_answer(self):
        """Until the application answers or its task ends."""
        told = asyncio.ensure_future(self.told.wait())
        try:
            await asyncio.wait((told, self.task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()

    async def receive(self):
        await self.wanted.wait()
        self.wanted.clear()
        return {"type": "lifespan.startup" if self.stage == _STARTUP else "lifespan.shutdown"}

    async def send(self, message):
        expected = _ANSWERS.get(self.stage, ())
        if message["type"] not in expected or self.answer is not None:
            raise ProtocolError("LIDO_ASGI_MESSAGE", show(message["type"]), f"expected is {' or '.join(expected) or 'nothing'}")
        self.answer = message
        self.told.set()
