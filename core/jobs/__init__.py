"""Work that happens after a commit: the outbox, its worker and the people's notices."""
