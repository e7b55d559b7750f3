"""Compiled templates of a test run, in a folder that all its processes share.

Every application compiles the templates of its pages anew, and a test run has hundreds of
them: a third of a second of CPU in each process of each server.
"""

import atexit
import os
import shutil
import tempfile

from flask import Flask
from jinja2 import FileSystemBytecodeCache

# Names the folder to the processes that this one starts.
_NAME = "GUANXI_TEST_TEMPLATES"

if _NAME not in os.environ:
    os.environ[_NAME] = tempfile.mkdtemp(prefix="gx_templates_")
    # This process ends after those that it starts.
    atexit.register(shutil.rmtree, os.environ[_NAME], ignore_errors=True)

Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(os.environ[_NAME])}
