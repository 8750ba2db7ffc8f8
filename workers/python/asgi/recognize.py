"""Which interface an application speaks: WSGI's callable of two arguments, or ASGI's coroutine function of three."""

from functools import partial
from types import FunctionType

from ..failures import LoadError

_ASGI_NAMES = ["scope", "receive", "send"]


def settle_interface(application, wanted, spec):
    """'wsgi' or 'asgi'. `wanted` is one of them or 'auto'. Raises LoadError where the application shows that it is the other."""
    spoken = recognize(application)
    if wanted == "asgi":
        if spoken == "asgi" or spoken is None:
            return "asgi"
        raise LoadError("LIDO_WSGI_APPLICATION", spec, _describe(application, spoken))
    if spoken == "coroutine":
        raise LoadError("LIDO_COROUTINE_FUNCTION", spec)
    if wanted == "wsgi" and spoken == "asgi":
        raise LoadError("LIDO_ASGI_APPLICATION", spec)
    if spoken is None:
        _refuse_factory(application, spec)
    return "asgi" if spoken == "asgi" else "wsgi"


def recognize(application):
    """'wsgi', 'asgi', 'coroutine' for one that is asynchronous and no ASGI application, None where nothing tells."""
    if isinstance(application, type):
        # Its instances are what is awaited, or what PEP 3333 iterates over.
        return "asgi" if hasattr(application, "__await__") else "wsgi"
    names = _list_arguments(application)
    is_asynchronous = _is_asynchronous(application)
    if names == _ASGI_NAMES or (names is not None and len(names) == 3):
        return "asgi"
    if is_asynchronous:
        # Decorators take *args.
        return "asgi" if names is None else "coroutine"
    return None if names is None or len(names) != 2 else "wsgi"


#: Of a function's code: CPython's inspect.CO_VARARGS, CO_COROUTINE and CO_ASYNC_GENERATOR.
_VARARGS, _COROUTINE, _ASYNC_GENERATOR = 0x4, 0x80, 0x200


def _is_plain(application):
    """A function that nothing is said of but by its code, which tells at once what inspect takes milliseconds to be loaded for."""
    return type(application) is FunctionType and not vars(application)


def _refuse_factory(application, spec):
    """What cannot be called with two arguments would fail at each request; most often it makes the application."""
    import inspect

    try:
        # As it is called: what a decorator wraps may take others.
        signature = inspect.signature(application, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        signature.bind("environ", "start_response")
    except TypeError:
        raise LoadError("LIDO_OTHER_ARGUMENTS", spec, str(signature)) from None


def _is_asynchronous(application):
    if _is_plain(application):
        return bool(application.__code__.co_flags & (_COROUTINE | _ASYNC_GENERATOR))
    import inspect

    called = application
    while isinstance(called, partial):
        called = called.func
    if not inspect.isroutine(called):
        called = getattr(called, "__call__", None)
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)


def _list_arguments(application):
    """The names of the arguments that have to be given; None where any number may be."""
    if _is_plain(application):
        code = application.__code__
        given = code.co_argcount - len(application.__defaults__ or ())
        return None if code.co_flags & _VARARGS else list(code.co_varnames[:given])
    import inspect

    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]


def _describe(application, spoken):
    if spoken == "coroutine":
        return f"it takes {len(_list_arguments(application) or ())} arguments"
    if isinstance(application, type):
        return "it is a class whose instances cannot be awaited"
    return "it takes two arguments, as a WSGI application does"
