"""The smallest application in Python: lido examples/hello.py"""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    return [f"Hello from Lido! You asked for {path}\n".encode()]
