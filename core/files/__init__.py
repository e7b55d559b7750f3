"""Uploaded files: where they lie, what they are, and pictures made safe to show."""
