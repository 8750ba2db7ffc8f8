"""Bottle: the pages that test/frameworks.test.ts asks of every framework."""

import hashlib
import threading
import time
from pathlib import Path

import bottle
from bottle import Bottle, HTTPResponse, abort, redirect, request, response, static_file, template

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
PAGE = """<!doctype html><p>{{name}}, visit {{visits}}</p>
%for note in notes:
<b>{{note}}</b>
%end"""
SECRET = "only a test"

application = Bottle()
together = threading.Barrier(4)


@application.get("/")
def index():
    session = request.get_cookie("session", {}, secret=SECRET)
    session["visits"] = session.get("visits", 0) + 1
    notes = session.pop("notes", [])
    response.set_cookie("session", session, secret=SECRET)
    return template(PAGE, name=session.get("name", "stranger"), visits=session["visits"], notes=notes)


@application.post("/form")
def form():
    session = request.get_cookie("session", {}, secret=SECRET)
    session.update(name=request.forms.name, notes=[f"Hello, {request.forms.name}"])
    response.set_cookie("session", session, secret=SECRET)
    redirect("/", 303)


@application.post("/upload")
def upload():
    files = [describe(file.raw_filename, file.file) for file in request.files.getall("file")]
    return {"note": request.forms.note, "files": files}


@application.put("/raw")
def raw():
    return describe("raw", request.body)


@application.get("/download")
def download():
    return static_file("mandelbrot.png", root=DOCS, download="größe.png")


@application.get("/static/<name>")
def static(name):
    return static_file(name, root=HERE / "static")


@application.get("/stream")
def stream():
    response.content_type = "text/plain"
    for number in range(3):
        yield f"{request.query.name} {number}\n"


@application.get("/raise")
def fail():
    return str(1 / 0)


@application.get("/forbidden")
def forbid():
    abort(403)


@application.get("/moved")
def move():
    redirect("/")


@application.get("/together/<name>")
def meet(name):
    response.set_header("X-Name", name)
    together.wait(10)
    time.sleep(0.001)
    return f"{response.get_header('X-Name')} {request.path} {threading.get_ident()}"


@application.get("/made")
def make():
    return HTTPResponse(status=201, body="made", headers={"X-Made": "yes"})


def describe(name, stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(50_000):
        digest.update(block)
        size += len(block)
    return {"name": name, "size": size, "sha256": digest.hexdigest()}


def create_debugged():
    """With Bottle's page for exceptions; its debug mode is that of the whole module."""
    bottle.debug(True)
    return application
