"""A release's record types as SQLAlchemy tables, columns and one immutable registry."""
