"""The rules of discounts: pure functions on values, by topic."""
