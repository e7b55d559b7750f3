"""What the rules of cards need from the database, and what they write into it."""
