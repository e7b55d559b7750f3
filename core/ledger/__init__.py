"""Accounts, entries, lots and holds: who is owed what, and the proof of it."""
