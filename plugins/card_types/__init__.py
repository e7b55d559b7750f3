"""Card types (form O1004), the cards made from them and their numbers."""
