import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")
application = get_wsgi_application()

from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402

# What runserver wraps a site in; a site in production has WhiteNoise or a web server instead.
application = StaticFilesHandler(application)
