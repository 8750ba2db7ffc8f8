"""An application that does what the query says, within the rules of PEP 3333; scripted.mjs does the same."""

import json
from urllib.parse import unquote


def application(environ, start_response):
    plan = json.loads(unquote(environ["QUERY_STRING"]))
    if plan["reads"]:
        environ["wsgi.input"].read(-1 if plan["reads"] == "all" else plan["reads"])
    headers = [("Content-Type", "text/plain")]
    is_list = plan["kind"] == "list"
    if plan["declares"]:
        headers.append(("Content-Length", str(sum(plan["blocks"]) + (0 if is_list else sum(plan["writes"])))))
    blocks = [b"b" * size for size in plan["blocks"]]
    if is_list:
        start_response(plan["status"], headers)
        return blocks

    def run():
        if plan["lazy"]:
            yield b""
        write = start_response(plan["status"], headers)
        for size in plan["writes"]:
            write(b"w" * size)
        yield from blocks

    return run()
