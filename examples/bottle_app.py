"""Bottle: routes, a template, a form and a signed cookie. lido examples/bottle_app.py"""

from bottle import Bottle, redirect, request, response, template

application = Bottle()
SECRET = "only an example: take one from the environment"

PAGE = """<!doctype html><title>Bottle on Lido</title>
<h1>Hello, {{name}}</h1>
<form method="post"><input name="name"><button>Call me that</button></form>"""


@application.get("/")
def show():
    return template(PAGE, name=request.get_cookie("name", "stranger", secret=SECRET))


@application.post("/")
def rename():
    response.set_cookie("name", request.forms.name, secret=SECRET)
    redirect("/")


@application.get("/add/<a:int>/<b:int>")
def add(a, b):
    return {"sum": a + b}
