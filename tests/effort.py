"""How long something took, said so that a busy machine does not change the answer."""

import gc
import time

#: How many times slower than its own work a busy machine and the database may make something.
_BUSY = 10

#: The generation whose collection walks through all that earlier tests left.
_WHOLE = 2


class _Sweeping:
    """CPU seconds that collections of the whole heap took so far in this process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, about: dict[str, int]) -> None:
        if about["generation"] != _WHOLE:
            return
        if phase == "start":
            self._began = time.process_time()
        else:
            self.seconds += time.process_time() - self._began


_sweeping = _Sweeping()


class Effort:
    """Measures from the moment it is made, without collections of the whole heap.

    In a process that has run thousands of tests such a collection takes a second, and falls
    upon whatever is under way.
    """

    def __init__(self) -> None:
        self._cpu, self._clock = self._worked(), time.perf_counter()

    @staticmethod
    def _worked() -> float:
        return time.process_time() - _sweeping.seconds

    @property
    def seconds(self) -> float:
        """The CPU seconds of this process, or a tenth of those by the clock if that is more."""
        waited = time.perf_counter() - self._clock
        return max(self._worked() - self._cpu, waited / _BUSY)
