"""Guanxi (关系): a self-hosted, low-code member CRM server."""

__version__ = "0.1.0"
