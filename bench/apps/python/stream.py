"""Bodies of any size: /down/BYTES, /up (answers the number of bytes read), /blocks/COUNT of 100 bytes each."""

BLOCK = b"x" * 65536
SMALL = b"x" * 100


def application(environ, start_response):
    action, _, amount = environ["PATH_INFO"][1:].partition("/")
    if action == "up":
        return count_body(environ, start_response)
    headers = [("Content-Type", "application/octet-stream")]
    if action == "down":
        headers.append(("Content-Length", amount))
    start_response("200 OK", headers)
    return blocks_of(int(amount)) if action == "down" else (SMALL for _ in range(int(amount)))


def count_body(environ, start_response):
    left = int(environ.get("CONTENT_LENGTH") or 0)
    count = 0
    while left > 0:
        chunk = environ["wsgi.input"].read(min(left, len(BLOCK)))
        if not chunk:
            break
        count += len(chunk)
        left -= len(chunk)
    body = b"%d\n" % count
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def blocks_of(count):
    while count > 0:
        yield BLOCK if count >= len(BLOCK) else BLOCK[:count]
        count -= len(BLOCK)
