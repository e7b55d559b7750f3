"""What holds for cards and card types, as pure functions on values."""
