"""The command line: `guanxi`.

Every command exits 0 on success, 1 on a refusal with one clear line on standard
error, 2 on wrong usage.
"""

import gc

# What imports make is no garbage; looking for some among it costs a fifth of the start.
gc.disable()

from core.cli.main import main  # noqa: E402  after the line above

gc.freeze()
gc.enable()

__all__ = ["main"]
