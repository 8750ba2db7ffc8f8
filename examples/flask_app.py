"""Flask: a page, a form with a session, an upload, a stream. lido examples/flask_app.py:app"""

from flask import Flask, Response, jsonify, redirect, render_template_string, request, session

app = Flask(__name__)
app.secret_key = "only an example: take one from the environment"

PAGE = """<!doctype html><title>Flask on Lido</title>
<h1>{% if name %}Welcome back, {{ name }}{% else %}Who are you?{% endif %}</h1>
<form method="post" action="{{ url_for('sign_in') }}"><input name="name"><button>That's me</button></form>"""


@app.get("/")
def index():
    return render_template_string(PAGE, name=session.get("name"))


@app.post("/sign-in")
def sign_in():
    session["name"] = request.form["name"]
    return redirect("/")


@app.post("/upload")
def upload():
    file = request.files["file"]
    return jsonify(name=file.filename, bytes=len(file.read()))


@app.get("/count/<int:last>")
def count(last):
    return Response((f"{number}\n" for number in range(1, last + 1)), mimetype="text/plain")
