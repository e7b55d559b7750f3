"""The HTML edge: server-rendered pages, enhanced in the browser by small modules."""
