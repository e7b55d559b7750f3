"""The demo: real sales of a gift wholesaler, and made-up stores and categories."""
