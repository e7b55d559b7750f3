"""What the rules of discounts need from the database, by topic."""
