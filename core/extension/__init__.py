"""How the product is extended: hooks, manifests, discovery and what a plugin must pass."""
