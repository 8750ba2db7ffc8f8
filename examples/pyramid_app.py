"""Pyramid: routes, a view that renders JSON, and one that may fail. lido examples/pyramid_app.py"""

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

POOLS = {"serpentine": 16, "parliament-hill": 18}


def list_pools(request):
    return {"pools": {name: request.route_url("pool", name=name) for name in POOLS}}


def show_pool(request):
    name = request.matchdict["name"]
    if name not in POOLS:
        raise HTTPNotFound(f"no pool {name}")
    return Response(f"{name}: {POOLS[name]} °C\n", content_type="text/plain", charset="utf-8")


with Configurator() as config:
    config.add_route("pools", "/")
    config.add_route("pool", "/{name}")
    config.add_view(list_pools, route_name="pools", renderer="json")
    config.add_view(show_pool, route_name="pool")
    application = config.make_wsgi_app()
