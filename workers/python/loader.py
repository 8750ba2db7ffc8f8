"""MODULE:CALLABLE ► a Python application."""

import importlib
import itertools
import json
import os
import re
import sys
from contextvars import Context
from keyword import iskeyword
from threading import get_ident

from .asgi.recognize import settle_interface
from .failures import LoadError, describe_failure, format_error, name_type
from .forks import end_if_child
from .log import voices

#: Used when MODULE comes without a callable, in this order.
_DEFAULT_NAMES = ("application", "app")

#: Applications that all threads of this interpreter share, each with its context variables, by their numbers.
shared = {}
_numbers = itertools.count(1)

# The context variables as the import of a module left them, by its name.
_contexts = {}


def load_shared(details_json):
    """
    Loads an application once for all threads. Returns JSON: the `number` to find it by in `shared`, 0 where it could not be
    loaded, which `failure` then explains; the interface that it `speaks`; and `lines` for the log.
    """
    lines = []
    voices[get_ident()] = lines.append
    process = os.getpid()
    try:
        *application, speaks = load_application(json.loads(details_json))
        end_if_child(process)
    except LoadError as error:
        end_if_child(process)
        return json.dumps({"number": 0, "failure": describe_failure(error), "lines": lines})
    finally:
        voices.pop(get_ident(), None)
    number = next(_numbers)
    shared[number] = application
    return json.dumps({"number": number, "speaks": speaks, "lines": lines})


def load_application(details):
    """The application, the context variables that each of its requests begins with, and its interface. Raises LoadError."""
    name = details["module"]
    known = _contexts.get(name)
    context = Context() if known is None else known.copy()
    application, speaks = context.run(load, details)
    _contexts[name] = context
    return application, context, speaks


def load(details):
    """The application, and 'wsgi' or 'asgi'. Raises LoadError with the catalogue's code, its arguments and the traceback."""
    module_name, callable_text, path, spec = (details[key] for key in ("module", "callable", "path", "spec"))
    interpreter = details["interpreter"]
    for entry in reversed(path):
        if entry not in sys.path:
            sys.path.insert(0, entry)
    try:
        module = _import(module_name, path, interpreter)
    finally:
        _refuse_greenlets(module_name)
    if callable_text is None:
        callable_text = _find_default(module, module_name)
        spec = f"{spec}:{callable_text}"
    application = _look_up(module, module_name, callable_text, spec, interpreter)
    if not callable(application):
        raise LoadError("LIDO_NOT_CALLABLE", spec, name_type(application))
    return application, settle_interface(application, details["interface"], spec)


def _import(name, path, interpreter):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module that was asked for is "not found": one that it imports is its own failure.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            place = f"{name} on {', '.join([*path, 'sys.path'])} of {interpreter}"
            raise LoadError("LIDO_MODULE_NOT_FOUND", name, place, trace=format_error(error)) from None
        raise LoadError("LIDO_IMPORT_FAILED", name, interpreter, trace=format_error(error)) from None
    except BaseException as error:
        refused = _find_refused(error)
        if refused is not None:
            raise LoadError("LIDO_MODULE_REFUSES_ISOLATION", name, refused, trace=format_error(error)) from None
        raise LoadError("LIDO_IMPORT_FAILED", name, interpreter, trace=format_error(error)) from None


def _find_refused(error):
    """The extension module that refuses an interpreter with a GIL of its own, which may have been caught on the way."""
    while error is not None:
        # Not str(error), at which the class of any other may fail.
        message = str(error.msg) if isinstance(error, ImportError) else ""
        found = re.match(r"module (\S+) does not support loading in subinterpreters", message)
        if found:
            return found[1]
        error = error.__cause__ or error.__context__
    return None


def _refuse_greenlets(name):
    """The lock of the module that patches would not be released: its owner is another thread to gevent."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        raise LoadError("LIDO_GREENLETS_FOR_THREADS", name)


def _find_default(module, module_name):
    for name in _DEFAULT_NAMES:
        if hasattr(module, name):
            return name
    raise LoadError("LIDO_CALLABLE_NOT_FOUND", module_name, " or ".join(_DEFAULT_NAMES), _names(module))


def _look_up(module, module_name, text, spec, interpreter):
    """`app`, `site.app`, or a factory call with literal arguments: `create_app("production")`."""
    call, names, positional, named = _parse(text)
    target = module
    for name in names:
        try:
            target = getattr(target, name)
        except AttributeError:
            raise LoadError("LIDO_CALLABLE_NOT_FOUND", module_name, ".".join(names), _names(module)) from None
        except BaseException as error:
            raise LoadError("LIDO_IMPORT_FAILED", spec, interpreter, trace=format_error(error)) from None
    if not call:
        return target
    if not callable(target):
        raise LoadError("LIDO_NOT_CALLABLE", spec, name_type(target))
    try:
        return target(*positional, **named)
    except BaseException as error:
        raise LoadError("LIDO_FACTORY_FAILED", spec, trace=format_error(error)) from None


def _parse(text):
    """Whether it is a call, the dotted names, and the call's arguments."""
    names = text.split(".")
    if text.isascii() and all(name.isidentifier() and not iskeyword(name) for name in names):
        return False, names, (), {}
    # Only who writes more than names pays for loading what reads it.
    import ast

    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise _malformed(text) from None
    if not isinstance(expression, ast.Call):
        return False, _dotted(expression, text), (), {}
    try:
        positional = [ast.literal_eval(argument) for argument in expression.args]
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in expression.keywords}
    except ValueError:
        raise LoadError("LIDO_MALFORMED_CALLABLE", text) from None
    if None in named:
        raise LoadError("LIDO_MALFORMED_CALLABLE", text)
    return True, _dotted(expression.func, text), positional, named


def _dotted(expression, text):
    import ast

    names = []
    while isinstance(expression, ast.Attribute):
        names.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        raise _malformed(text)
    return [expression.id, *reversed(names)]


def _malformed(text):
    return LoadError("LIDO_MALFORMED_CALLABLE", text)


def _names(module):
    return ", ".join(name for name in vars(module) if not name.startswith("_")) or "nothing"
