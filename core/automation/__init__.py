"""Automations: on an event, when a condition holds, do actions.

outbox event -> matching.py    which automations it sets going: one run each, written
in the transaction that notes the delivery
clock        -> scheduling.py  the same for schedules and dates
run          -> running.py     all writes of a run in one transaction, or none
message      -> sending.py     e-mails and webhooks, after that transaction's commit
"""
