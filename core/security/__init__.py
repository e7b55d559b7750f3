"""Who is asking: sign-in, tokens, users and their stores, and what every answer carries."""
