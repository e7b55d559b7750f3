"""The flow engine: pure functions over one instance's state; no database, clock or person."""
