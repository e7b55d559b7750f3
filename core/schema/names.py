"""What names look like that are part of addresses and tables."""

import re

#: Names of record types, views, automations: small letters, digits and single underscores.
TYPE_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
