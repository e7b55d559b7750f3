"""The JSON edge: parses requests, calls operations, answers in one shape."""
