"""Flows as BPMN 2.0: every flow can be written; what is made of blocks can be read."""
