"""The pages that test/frameworks.test.ts asks of every framework, and what Django has beside them."""

import asyncio
import hashlib
import threading
import time
from pathlib import Path

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.utils import translation
from django.utils.html import escape
from django.views.decorators.csrf import csrf_exempt

from .models import Photo

PICTURE = Path(__file__).parents[3] / "docs" / "mandelbrot.png"

together = threading.Barrier(4)


def index(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    notes = "".join(f"<b>{escape(note)}</b>" for note in messages.get_messages(request))
    name = escape(request.session.get("name", "stranger"))
    return HttpResponse(f"<!doctype html><p>{name}, visit {request.session['visits']}</p>{notes}")


def form(request):
    if request.method == "GET":
        return HttpResponse(f'<input name="csrfmiddlewaretoken" value="{get_token(request)}">')
    request.session["name"] = request.POST["name"]
    messages.info(request, f"Hello, {request.POST['name']}")
    response = redirect("/")
    response.status_code = 303
    return response


@csrf_exempt
def upload(request):
    files = [describe(file.name, file) for file in request.FILES.getlist("file")]
    return JsonResponse({"note": request.POST["note"], "files": files})


@csrf_exempt
def raw(request):
    return JsonResponse(describe("raw", request))


def download(request):
    return FileResponse(PICTURE.open("rb"), as_attachment=True, filename="größe.png")


def stream(request):
    lines = (f"{request.GET['name']} {number}\n" for number in range(3))
    return StreamingHttpResponse(lines, content_type="text/plain")


def fail(request):
    return HttpResponse(1 / 0)


def forbid(request):
    raise PermissionDenied


def move(request):
    return redirect(request.build_absolute_uri("/"))


def meet(request, name):
    translation.activate("de" if name.endswith("1") else "fr")
    together.wait(10)
    time.sleep(0.001)
    language = translation.get_language()
    assert language == ("de" if name.endswith("1") else "fr"), language
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", [name])
        (kept,) = cursor.fetchone()
    return HttpResponse(f"{kept} {request.path} {threading.get_ident()}", content_type="text/plain")


async def answer_later(request):
    await asyncio.sleep(0.001)
    return HttpResponse(f"later, {request.GET['name']}: {await Photo.objects.acount()} photos")


def photos(request):
    return JsonResponse({photo.title: photo.file.name for photo in Photo.objects.order_by("id")})


def describe(name, stream):
    digest, size = hashlib.sha256(), 0
    while block := stream.read(50_000):
        digest.update(block)
        size += len(block)
    return {"name": name, "size": size, "sha256": digest.hexdigest()}
