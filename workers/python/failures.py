"""What goes wrong in an application, and how it is told."""

import importlib
import os
import re
import threading
import traceback

#: Files whose frames say nothing about the application.
_OWN = (os.path.dirname(__file__) + os.sep, importlib.__file__, "<frozen importlib")

#: Lido's catalogue of errors, as far as Python raises them: the message and the remedy by code. Filled by start().
messages = {}


class LidoTimeout(BaseException):
    """Raised inside an application that runs longer than the time-out."""


class ProtocolError(Exception):
    """A rule of PEP 3333 that the application broke; `code` and `args` are those of Lido's catalogue of errors."""

    def __init__(self, code, *args):
        super().__init__(*args)
        self.code = code

    def __str__(self):
        return explain(self.code, *self.args)


class LoadError(Exception):
    """An application that could not be loaded: code and arguments of the catalogue, and the traceback."""

    def __init__(self, code, *args, trace=None):
        super().__init__(*args)
        self.code = code
        self.trace = trace


#: Bytes of a traceback that are kept: its end.
_TRACE_LIMIT = 16384


def describe_failure(error):
    """A LoadError as it crosses to JavaScript."""
    return {"code": error.code, "args": error.args, "trace": error.trace and error.trace[-_TRACE_LIMIT:]}


class ClientGone(ConnectionError):
    """The client went away while its request's body was read."""


def explain(code, *args):
    message, remedy = messages.get(code, ("%s", ""))
    for argument in args:
        message = message.replace("%s", str(argument), 1)
    return f"{code}: {message} ({remedy})"


def fill(code, args):
    """Message and remedy of the catalogue, each `%s` replaced by the next argument."""
    rest = [str(argument) for argument in args]
    return [re.sub("%s", lambda _: rest.pop(0) if rest else "", text) for text in messages.get(code, ("%s", ""))]


def name_type(value):
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def show(value):
    """The value's repr(), or where its class fails at that, what it is."""
    try:
        return repr(value)
    except Exception:
        return name_type(value)


def describe_error(error):
    """What was raised, in one line; traceback itself fails at some SyntaxErrors."""
    try:
        return "".join(traceback.format_exception_only(type(error), error)).strip()
    except Exception:
        return type(error).__name__


def format_error(error):
    """The traceback as Python prints it, of the application's frames: Lido's own and the import system's say nothing."""
    try:
        report = traceback.TracebackException(type(error), error, error.__traceback__)
        _drop_own_frames(report)
        return "".join(report.format())
    except Exception:
        return "".join([*traceback.format_tb(error.__traceback__), type(error).__name__, "\n"])


def _drop_own_frames(report):
    pending = [report]
    seen = set()
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack[:] = [frame for frame in part.stack if not is_own(frame.filename)]
        pending += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]


def is_own(filename):
    return filename.startswith(_OWN)


def format_stack(frame):
    """Where a thread stands, without Lido's own frames, and those in which each of threading's begins."""
    stack = traceback.extract_stack(frame)
    # What JavaScript runs has no file, and nobody called it.
    if stack and stack[0].filename == "<string>":
        del stack[0]
    own = [entry for entry in stack if not is_own(entry.filename) and not _begins_thread(entry)]
    return "".join(traceback.format_list(own))


def _begins_thread(entry):
    return entry.filename == threading.__file__ and entry.name in ("_bootstrap", "_bootstrap_inner", "run")
