"""What follows when people change: seats looked at again, a leaver's desk handed over."""
