"""The audit queue: boxes, tasks as people see them, bulk, undo, notices, bottlenecks."""
