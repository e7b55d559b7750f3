"""What the product costs: `make bench` prints a table, per process CPU or as ratios in one run."""
