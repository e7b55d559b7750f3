"""What points a rebate run takes of a member, and what it gives for them; pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run says, money in smallest units.

    Attributes:
        min_points: available points a member must have; `min_spend` what they must have spent.
        step_points: so many points at a time become `step_amount`.
        most_amount: at most so much for each member; None without end.
    """

    min_points: int
    min_spend: int
    step_points: int
    step_amount: int
    most_amount: int | None = None

    def rebate(self, available: int, spent: int) -> tuple[int, int]:
        """Return points taken and money given; (0, 0) to those who do not qualify.

        >>> Terms(1000, 0, 1000, 500, 1000).rebate(2999, 0)
        (2000, 1000)
        """
        if available < self.min_points or spent < self.min_spend:
            return 0, 0
        steps = available // self.step_points
        if self.most_amount is not None:
            steps = min(steps, self.most_amount // self.step_amount)
        return steps * self.step_points, steps * self.step_amount
