"""What plugins may rely on: the facade's names and the hooks' arguments are frozen."""

import inspect

from core import api
from core.extension import hookspecs

NAMES = [
    "ActionCall", "Balance", "Change", "Conflict", "Context", "DEFAULT", "DecimalType",
    "Document", "Effect", "EntryRow", "Event", "Field", "FieldError", "FieldType", "FileCall",
    "Forbidden", "Goods", "Hold", "Insufficient", "IntegerType", "Invalid", "Lot", "Lots",
    "Move", "Moved", "N_", "NotFound", "PluginAction", "Posted", "PostingRow", "Problem",
    "RecordFile", "Return", "ReturnLine", "Review", "Sale", "SaleConditions", "SaleLine",
    "Sheet", "Shown", "Standing", "StoreFacts", "Taken", "TextType", "Unavailable", "UserError",
    "accounts_of", "as_of", "audit_seq", "balance", "create_many", "create_record", "draw_code",
    "emit_event", "find_hold", "find_record", "forget_codes", "get_record", "hold", "hookimpl",
    "in_force", "keep_codes", "lapsed", "last_day", "lock_account", "lots_from", "lots_of",
    "named_lots", "new_id", "next_number", "on_behalf", "option_label", "owners_of_codes",
    "plugin_settings", "post", "post_hold", "postings_of", "priced_sales", "query", "reverse",
    "secret_matches", "store_of", "stored_expression", "table", "transfer", "translate",
    "try_code", "unlock_code", "update_record", "void_hold", "write_off",
]  # fmt: skip

HOOKS = {
    "guanxi_register_field_types": [],
    "guanxi_register_actions": [],
    "guanxi_register_files": [],
    "guanxi_before_save": ["ctx", "change"],
    "guanxi_before_apply": ["ctx", "document"],
    "guanxi_before_submit": ["ctx", "document"],
    "guanxi_review_document": ["ctx", "document"],
    "guanxi_before_quote": ["ctx", "sale"],
    "guanxi_before_sale": ["ctx", "sale", "order_id"],
    "guanxi_before_return": ["ctx", "giving_back"],
    "guanxi_before_refund": ["ctx", "giving_back"],
    "guanxi_review_certificate": ["ctx", "priced"],
    "guanxi_after_event": ["ctx", "event"],
}


def test_facade_offers_exactly_the_frozen_names():
    assert sorted(api.__all__) == NAMES
    assert [name for name in NAMES if not hasattr(api, name)] == []


def test_hooks_have_exactly_the_frozen_arguments():
    found = {
        name: list(inspect.signature(hook).parameters)
        for name, hook in vars(hookspecs).items()
        if name.startswith("guanxi_")
    }
    assert found == HOOKS


def test_every_hook_says_in_one_sentence_what_it_is_for():
    for name in HOOKS:
        lines = (inspect.getdoc(getattr(hookspecs, name)) or "").splitlines()
        assert len(lines) == 1, name
        assert lines[0].endswith("."), name
