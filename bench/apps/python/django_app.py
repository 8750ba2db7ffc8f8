"""Django in one file: / says hello; /page is a template over twenty rows by the ORM, and a signed session."""

import django
from django.conf import settings

import shop

TEMPLATE = """<!doctype html><title>Shop</title><h1>Items</h1><p>Visits: {{ visits }}</p><table>
{% for item in items %}<tr><td>{{ item.id }}</td><td>{{ item.name }}</td><td>{{ item.price }}</td></tr>
{% endfor %}</table><p>Total of {{ items|length }} items</p>"""

settings.configure(
    SECRET_KEY="only for the benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": shop.PATH, "CONN_MAX_AGE": None}},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.cached.Loader", [
                ("django.template.loaders.locmem.Loader", {"page.html": TEMPLATE}),
            ])]},
        }
    ],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (needs the settings above)
from django.db import models  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Item(models.Model):
    name = models.TextField()
    price = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "item"


def hello(request):
    return HttpResponse("Hello, world!\n", content_type="text/plain")


def page(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    items = list(Item.objects.filter(price__gt=500).order_by("price")[:20])
    return render(request, "page.html", {"items": items, "visits": request.session["visits"]})


urlpatterns = [path("", hello), path("page", page)]
application = get_wsgi_application()
