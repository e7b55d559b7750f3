"""What proves an approval: chained events, folded rows, daily roots, signatures."""
