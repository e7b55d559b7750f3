"""Who may do what on which rows and which fields, as SQL and as sets of names."""
