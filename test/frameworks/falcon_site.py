"""Falcon: the pages that test/frameworks.test.ts asks of every framework. It has no sessions: a signed cookie does."""

import hashlib
import threading
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

import falcon
from itsdangerous import URLSafeSerializer

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"

signer = URLSafeSerializer("only a test")
together = threading.Barrier(4)


def load_session(req):
    cookie = req.get_cookie_values("session")
    return signer.loads(cookie[0]) if cookie else {}


def save_session(resp, session):
    resp.set_cookie("session", signer.dumps(session), secure=False)


class Index:
    def on_get(self, req, resp):
        session = load_session(req)
        session["visits"] = session.get("visits", 0) + 1
        notes = "".join(f"<b>{escape(note)}</b>" for note in session.pop("notes", []))
        save_session(resp, session)
        resp.content_type = falcon.MEDIA_HTML
        name = escape(session.get("name", "stranger"))
        resp.text = f"<!doctype html><p>{name}, visit {session['visits']}</p>{notes}"


class Form:
    def on_post(self, req, resp):
        name = req.get_media()["name"]
        save_session(resp, {**load_session(req), "name": name, "notes": [f"Hello, {name}"]})
        raise falcon.HTTPSeeOther("/")


class Upload:
    def on_post(self, req, resp):
        files, note = [], ""
        for part in req.get_media():
            if part.name == "note":
                note = part.text
            else:
                files.append(describe(part.filename, part.stream))
        resp.media = {"note": note, "files": files}


class Raw:
    def on_put(self, req, resp):
        resp.media = describe("raw", req.bounded_stream if req.content_length else req.stream)


class Download:
    def on_get(self, req, resp):
        resp.content_type = "image/png"
        resp.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote('größe.png')}")
        resp.set_stream((DOCS / "mandelbrot.png").open("rb"), (DOCS / "mandelbrot.png").stat().st_size)

    on_head = on_get


class Stream:
    def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = (f"{req.get_param('name')} {number}\n".encode() for number in range(3))


class Fail:
    def on_get(self, req, resp):
        resp.text = str(1 / 0)


class Forbidden:
    def on_get(self, req, resp):
        raise falcon.HTTPForbidden(description="not for you")


class Moved:
    def on_get(self, req, resp):
        raise falcon.HTTPFound(f"{req.prefix}/")


class Together:
    def on_get(self, req, resp, name):
        req.context.name = name
        together.wait(10)
        time.sleep(0.001)
        resp.text = f"{req.context.name} {req.path} {threading.get_ident()}"


def describe(name, stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(50_000):
        digest.update(block)
        size += len(block)
    return {"name": name, "size": size, "sha256": digest.hexdigest()}


application = falcon.App()
for path, resource in {
    "/": Index(),
    "/form": Form(),
    "/upload": Upload(),
    "/raw": Raw(),
    "/download": Download(),
    "/stream": Stream(),
    "/raise": Fail(),
    "/forbidden": Forbidden(),
    "/moved": Moved(),
    "/together/{name}": Together(),
}.items():
    application.add_route(path, resource)
application.add_static_route("/static", HERE / "static")
