"""Django in one file: notes in a SQLite database. lido examples/django_app.py

The database lives in memory, shared by the threads of one process, and is gone when the server ends.
"""

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path

DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:notes?mode=memory&cache=shared"}

settings.configure(
    SECRET_KEY="only an example: take one from the environment",
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": DATABASE},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()


class Note(models.Model):
    text = models.CharField(max_length=200)

    class Meta:
        app_label = "notes"


def notes(request):
    if request.method == "POST":
        note = Note.objects.create(text=request.POST["text"])
        return JsonResponse({"id": note.id}, status=201)
    return JsonResponse({"notes": [note.text for note in Note.objects.order_by("id")]})


def note(request, note_id):
    return HttpResponse(get_object_or_404(Note, id=note_id).text, content_type="text/plain")


urlpatterns = [path("", notes), path("<int:note_id>", note)]

if Note._meta.db_table not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Note)

application = get_wsgi_application()
