"""The plugins that ship with the product; each folder is one, all of one shape."""
