"""The application of django_app.py, by ASGI."""

import django_app  # noqa: F401  (has Django's settings, and its pages)
from django.core.asgi import get_asgi_application

application = get_asgi_application()
