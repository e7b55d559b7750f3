"""What a flow would do, without doing it: tests, proof, replay, what-if."""
