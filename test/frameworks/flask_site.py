"""Flask: the pages that test/frameworks.test.ts asks of every framework, and what Flask has beside them."""

import hashlib
import threading
import time
from pathlib import Path

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    jsonify,
    redirect,
    render_template_string,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

PICTURE = Path(__file__).parents[2] / "docs" / "mandelbrot.png"
PAGE = "<!doctype html><p>{{ name }}, visit {{ visits }}</p>{% for note in notes %}<b>{{ note }}</b>{% endfor %}"

pages = Blueprint("pages", __name__)
together = threading.Barrier(4)


@pages.get("/")
def index():
    session["visits"] = session.get("visits", 0) + 1
    name = session.get("name", "stranger")
    return render_template_string(PAGE, name=name, visits=session["visits"], notes=get_flashed_messages())


@pages.post("/form")
def form():
    session["name"] = request.form["name"]
    flash(f"Hello, {session['name']}")
    return redirect(url_for("pages.index"), code=303)


@pages.post("/upload")
def upload():
    files = [describe(file.filename, file.stream) for file in request.files.getlist("file")]
    return jsonify(note=request.form["note"], files=files)


@pages.put("/raw")
def raw():
    return jsonify(describe("raw", request.stream))


@pages.get("/download")
def download():
    return send_file(PICTURE, as_attachment=True, download_name="größe.png", conditional=True)


@pages.get("/stream")
def stream():
    @stream_with_context
    def lines():
        for number in range(3):
            yield f"{request.args['name']} {number}\n"

    return current_app.response_class(lines(), mimetype="text/plain")


@pages.get("/raise")
def fail():
    return str(1 / 0)


@pages.get("/forbidden")
def forbid():
    abort(403)


@pages.get("/moved")
def move():
    return redirect(url_for("pages.index", _external=True))


@pages.get("/together/<name>")
def meet(name):
    g.name = name
    together.wait(10)
    time.sleep(0.001)
    return f"{g.name} {request.path} {threading.get_ident()}"


@pages.get("/async")
async def answer_later():
    import asyncio

    await asyncio.sleep(0.001)
    return f"later, {request.args['name']}"


def describe(name, stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(50_000):
        digest.update(block)
        size += len(block)
    return {"name": name, "size": size, "sha256": digest.hexdigest()}


def create_app(debug=False):
    app = Flask(__name__)
    app.debug = debug
    app.secret_key = "only a test"
    app.register_blueprint(pages)
    return app


def create_debugged():
    """With Werkzeug's page for exceptions, as `flask run --debug` has it."""
    from werkzeug.debug import DebuggedApplication

    return DebuggedApplication(create_app(debug=True), evalex=True)


application = create_app()
