"""The events that the product itself writes to the outbox, and what each holds.

A handler (`core.jobs.handlers.register_handler`) or a plugin's `guanxi_after_event` listens
to them after the commit. Every payload has `type` and `id` of a record, `actor` (the id of
who acted) and `at` (RFC 3339, UTC), and further the keys named here.
"""

from collections.abc import Mapping

#: Topic -> the further keys of its payload, and when it is told.
TOPICS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "record.created": (("version",), "A record was written for the first time."),
    "record.updated": (("version",), "A record has a new version."),
    "record.deleted": (("version",), "A record was deleted."),
    "comment.created": (
        ("comment", "title", "actor_name", "mentions", "followers"),
        "Somebody wrote a comment. `mentions` and `followers` are the ids of the users who are "
        "mentioned and who follow the record, the author left out, nobody in both; all of them "
        "may see the record.",
    ),
    "comment.mentioned": (
        ("comment", "title", "actor_name", "mentions", "followers"),
        "A new or changed comment mentions people; `mentions` are those not told before.",
    ),
}
