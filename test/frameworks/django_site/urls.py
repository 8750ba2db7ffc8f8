from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.index),
    path("form", views.form),
    path("upload", views.upload),
    path("raw", views.raw),
    path("download", views.download),
    path("stream", views.stream),
    path("raise", views.fail),
    path("forbidden", views.forbid),
    path("moved", views.move),
    path("together/<name>", views.meet),
    path("async", views.answer_later),
    path("photos", views.photos),
]
