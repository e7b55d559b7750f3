"""Who may decide: everybody who works here, whom a step asks, who stands in for whom."""
