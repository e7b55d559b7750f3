"""The WSGI entry point for production servers: `granian --interface wsgi wsgi:application`."""

from core.app import create_app
from core.logs import to_stderr
from core.settings import Settings

to_stderr()
application = create_app(Settings.load())
