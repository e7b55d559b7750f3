"""Approval flows: a pure machine, and the stored operations that move it."""
