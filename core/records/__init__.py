"""Records of every type: validation, operations, queries, history, documents."""
