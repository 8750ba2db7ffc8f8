"""Pyramid: the pages that test/frameworks.test.ts asks of every framework."""

import hashlib
import threading
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPFound, HTTPSeeOther
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory
from pyramid.threadlocal import get_current_request

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "docs" / "mandelbrot.png"

together = threading.Barrier(4)


def index(request):
    session = request.session
    session["visits"] = session.get("visits", 0) + 1
    notes = "".join(f"<b>{escape(note)}</b>" for note in session.pop_flash())
    name = escape(session.get("name", "stranger"))
    return Response(f"<!doctype html><p>{name}, visit {session['visits']}</p>{notes}")


def form(request):
    request.session["name"] = request.POST["name"]
    request.session.flash(f"Hello, {request.POST['name']}")
    return HTTPSeeOther(request.route_url("index"))


def upload(request):
    files = [describe(file.filename, file.file) for file in request.POST.getall("file")]
    return {"note": request.POST["note"], "files": files}


def raw(request):
    return describe("raw", request.body_file)


def download(request):
    response = FileResponse(str(PICTURE), request)
    response.content_disposition = f"attachment; filename*=UTF-8''{quote('größe.png')}"
    response.conditional_response = True
    return response


def stream(request):
    lines = (f"{request.params['name']} {number}\n".encode() for number in range(3))
    return Response(app_iter=lines, content_type="text/plain")


def fail(request):
    return str(1 / 0)


def forbid(request):
    raise HTTPForbidden("not for you")


def move(request):
    return HTTPFound(request.route_url("index"))


def meet(request):
    together.wait(10)
    time.sleep(0.001)
    request = get_current_request()
    return Response(f"{request.matchdict['name']} {request.path} {threading.get_ident()}", content_type="text/plain")


def describe(name, stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(50_000):
        digest.update(block)
        size += len(block)
    return {"name": name, "size": size, "sha256": digest.hexdigest()}


with Configurator(session_factory=SignedCookieSessionFactory("only a test")) as config:
    for name, path, view, renderer in (
        ("index", "/", index, None),
        ("form", "/form", form, None),
        ("upload", "/upload", upload, "json"),
        ("raw", "/raw", raw, "json"),
        ("download", "/download", download, None),
        ("stream", "/stream", stream, None),
        ("raise", "/raise", fail, "string"),
        ("forbidden", "/forbidden", forbid, None),
        ("moved", "/moved", move, None),
        ("together", "/together/{name}", meet, None),
    ):
        config.add_route(name, path)
        config.add_view(view, route_name=name, renderer=renderer)
    config.add_static_view("static", str(HERE / "static"))
    application = config.make_wsgi_app()
