"""What link pickers offer for the text typed so far."""

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.policies.access import Access, access
from core.records.cascading import filter_for
from core.records.queries import Query, list_wire
from core.schema.model import RecordType
from core.web.choices import typed_row
from core.web.page import page, pages
from core.web.titles import OFFERED, title_name


@pages.get("/records/<type_name>/lookup")
@page
def lookup(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Answer what a link picker offers for the text typed so far.

    `from` names the link as `TYPE.FIELD` or `TYPE.TABLE.FIELD`, whose filter holds here too;
    `row.NAME` are the other values of the same row, on which the filter may depend.
    """
    target = ctx.registry.record_type(type_name)
    text = request.args.get("search", "").strip()
    name = title_name(target)
    rights = access(ctx, type_name)
    rights.require("view")
    subtitle = _subtitle(target, name, rights)
    fields = tuple(dict.fromkeys(filter(None, ("id", name, subtitle))))
    query = Query(
        filter=_link_filter(ctx, request.args.get("from", ""), type_name),
        fields=fields,
        sort=() if text else (name,),
        limit=OFFERED,
        search=text,
    )
    found = list_wire(ctx, type_name, query)
    return jsonify(
        {
            "items": [
                {
                    "id": record["id"],
                    "title": str(record.get(name) or record["id"]),
                    "note": str(record.get(subtitle) or "") if subtitle else "",
                }
                for record in found.items
            ],
            "more": found.next is not None,
        }
    )


def _subtitle(target: RecordType, title: str, rights: Access) -> str:
    """Return a second field that tells records of the same title apart."""
    for field in target.fields:
        if field.unique and field.name != title and field.name in rights.certain:
            return field.name
    return ""


def _link_filter(ctx: Context, path: str, target: str) -> str:
    parts = path.split(".")
    record_type = ctx.registry.release.type(parts[0])
    if record_type is None:
        return ""
    siblings = fields = record_type.fields
    field = None
    for part in parts[1:]:
        field = next((each for each in fields if each.name == part), None)
        if field is None:
            return ""
        siblings, fields = fields, field.fields
    if field is None or field.target != target:
        return ""
    owner = ".".join(parts[:-1])
    return filter_for(ctx, target, field.filter, owner, typed_row(siblings))
