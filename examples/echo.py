"""Sends back what was uploaded, as it arrives: lido --no-request-buffering examples/echo.py

Then: curl -T big.file http://127.0.0.1:8000/ -o copy.file
Neither side is ever held in memory whole.
"""

BLOCK_BYTES = 64 * 1024


def application(environ, start_response):
    content_type = environ.get("CONTENT_TYPE") or "application/octet-stream"
    start_response("200 OK", [("Content-Type", content_type)])
    return read_blocks(environ["wsgi.input"])


def read_blocks(body):
    while block := body.read(BLOCK_BYTES):
        yield block
