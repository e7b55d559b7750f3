"""Points as pure functions: earning, spending, returning, lots that end, scenes."""
