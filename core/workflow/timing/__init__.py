"""What happens by itself: clocks, waits, effects, reminders."""
