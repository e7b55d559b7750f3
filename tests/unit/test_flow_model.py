"""The engine against the reference interpreter: random flows, random verbs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from core.testing.campaigns import IS_NIGHTLY
from tests.unit.flow_walk import Pair, replayed


class Model(RuleBasedStateMachine):
    """One instance of a random flow, on which people do whatever comes to their minds."""

    @initialize(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        self.pair = Pair(picker(data))
        self.pair.both("submit", "ann")

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """Vote, return, ask others, take back, claim, let time pass, suspend, withdraw."""
        self.pair.pick = picker(data)
        try:
            self.pair.step()
        except AssertionError:
            note(f"{self.pair.flow}\n{self.pair.doc}")
            note("\n".join(map(str, self.pair.log)))
            raise

    def teardown(self) -> None:
        """Whoever does the same again reaches the same: nothing depends on chance."""
        if hasattr(self, "pair"):
            assert msgspec.to_builtins(replayed(self.pair)) == msgspec.to_builtins(
                self.pair.play.state
            )


def picker(data: st.DataObject) -> Any:
    """Return what chooses one of several by a drawn place."""

    def pick(options: Sequence[Any]) -> Any:
        return options[data.draw(st.integers(0, len(options) - 1))]

    return pick


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=2_000 if IS_NIGHTLY else 60,
    stateful_step_count=50 if IS_NIGHTLY else 30,
    # A walk is told by its log; making it shorter takes minutes for each of its draws.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
