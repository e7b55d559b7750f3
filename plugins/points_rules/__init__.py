"""Points rules: what a purchase earns, what points pay for, and what a return takes back."""
