"""Price tests that business users write as rows: what is given, and what must come out."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Expected:
    """What a test says must come out; None where it says nothing."""

    amount: Decimal | None = None
    rate: Decimal | None = None
    rule: str | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether the test expects nothing at all, so that it could not fail."""
        return self.amount is None and self.rate is None and not self.rule


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out: amount due, member rate, and the document's number, "" for none."""

    amount: Decimal
    rate: Decimal
    rule: str


def failures(expected: Expected, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Yield (column, what was expected, what came out) of each expectation that fails.

    >>> list(failures(Expected(amount=Decimal("158.00"), rule="ZK1"),
    ...               Outcome(Decimal("152.00"), Decimal("0.9"), "ZK1")))
    [('expect_amount', '158.00', '152.00')]
    """
    if expected.amount is not None and expected.amount != outcome.amount:
        yield "expect_amount", f"{expected.amount:f}", f"{outcome.amount:f}"
    if expected.rate is not None and expected.rate != outcome.rate:
        yield "expect_rate", f"{expected.rate:f}", f"{outcome.rate:f}"
    if expected.rule and expected.rule != outcome.rule:
        yield "expect_rule", expected.rule, outcome.rule or "-"
