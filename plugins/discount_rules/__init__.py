"""Discount rules (form O5004): which rate a member pays, and how discounts stack."""
