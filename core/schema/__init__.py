"""The schema language: from YAML texts to one immutable, checked release."""
