"""The WSGI entry point for production servers: `granian --interface wsgi wsgi:application`."""

from core.app import create_app
from core.settings import Settings

application = create_app(Settings.load())
