"""What the rules of points need from the database, and what they book."""
