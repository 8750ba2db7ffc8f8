"""A framework in the manner of Flask, in a few lines, and an application written with it.

lido examples/mini_framework.py, then: curl -d 'size=large' 'http://127.0.0.1:8000/order?table=4'
"""

from urllib.parse import parse_qs


class MiniFramework:
    def __init__(self):
        self.routes = {}

    def route(self, path, method="GET"):
        def register(handler):
            self.routes[method, path] = handler
            return handler

        return register

    def __call__(self, environ, start_response):
        handler = self.routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if handler is None:
            return self.respond(start_response, "404 Not Found", "not found\n")
        query = self.parse(environ["QUERY_STRING"])
        length = int(environ.get("CONTENT_LENGTH") or 0)
        form = self.parse(environ["wsgi.input"].read(length).decode())
        return self.respond(start_response, "200 OK", handler(query, form))

    def parse(self, text):
        return {name: values[-1] for name, values in parse_qs(text).items()}

    def respond(self, start_response, status, text):
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode()]


application = MiniFramework()


@application.route("/")
def index(query, form):
    return "POST to /order?table=NUMBER with size=SIZE\n"


@application.route("/order", method="POST")
def order(query, form):
    return f"one {form.get('size', 'small')} lemonade for table {query.get('table', 'unknown')}\n"
