"""Falcon: a small JSON service. lido examples/falcon_quotes.py"""

import falcon

QUOTES = [
    {"author": "Grace Hopper", "quote": "I've always been more interested in the future than in the past."},
]


class Quotes:
    def on_get(self, req, resp):
        resp.media = {"quotes": QUOTES}

    def on_post(self, req, resp):
        quote = req.get_media()
        QUOTES.append({"author": quote["author"], "quote": quote["quote"]})
        resp.status = falcon.HTTP_CREATED
        resp.location = f"/quotes/{len(QUOTES) - 1}"


class Quote:
    def on_get(self, req, resp, number):
        if number >= len(QUOTES):
            raise falcon.HTTPNotFound()
        resp.media = QUOTES[number]


application = falcon.App()
application.add_route("/quotes", Quotes())
application.add_route("/quotes/{number:int}", Quote())
