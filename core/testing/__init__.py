"""Fixtures for the product's own tests and for partners' plugins."""
