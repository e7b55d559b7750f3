"""Documents by themselves."""

from plugins.discount_rules.rules.documents import rated_twice


def test_rated_twice_looks_at_one_level_at_a_time():
    lines = [("brand", {"olay"}), ("counter", {"olay"}), ("brand", {"loreal", "olay"})]
    found = rated_twice((level, frozenset(targets)) for level, targets in lines)
    assert found == [(0, 2, "olay")]
