"""Flask: / says hello; /page is a real page: a template over twenty rows from SQLite, and a signed session."""

import sqlite3
import threading

from flask import Flask, render_template_string, session

import shop

application = Flask(__name__)
application.secret_key = "only for the benchmark"
local = threading.local()

PAGE = """<!doctype html><title>Shop</title><h1>Items</h1><p>Visits: {{ visits }}</p><table>
{% for item in items %}<tr><td>{{ item[0] }}</td><td>{{ item[1] }}</td><td>{{ "%.2f"|format(item[2] / 100) }}</td></tr>
{% endfor %}</table><p>Total of {{ items|length }} items</p>"""


@application.get("/")
def hello():
    return "Hello, world!\n", {"Content-Type": "text/plain"}


@application.get("/page")
def page():
    session["visits"] = session.get("visits", 0) + 1
    items = database().execute("SELECT id, name, price FROM item WHERE price > 500 ORDER BY price LIMIT 20").fetchall()
    return render_template_string(PAGE, items=items, visits=session["visits"])


def database():
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(shop.PATH)
    return local.connection
