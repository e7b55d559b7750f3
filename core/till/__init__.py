"""Quotes, sales and returns: what the till asks for, priced and booked by plugins."""
