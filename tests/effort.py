"""How long something took, said so that a busy machine does not change the answer."""

import time

#: How many times slower than its own work a busy machine and the database may make something.
_BUSY = 10


class Effort:
    """Measures from the moment it is made."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.perf_counter()

    @property
    def seconds(self) -> float:
        """The CPU seconds of this process, or a tenth of those by the clock if that is more."""
        waited = time.perf_counter() - self._clock
        return max(time.process_time() - self._cpu, waited / _BUSY)
