"""What the keys of policies, roles and positions mean; `guide` tells it with the others."""

from collections.abc import Mapping

from core.schema import loader, model, rights

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Mapping[str, tuple[str, str]]] = {
    rights.Policy: {
        "name": ("Its name; a customization replaces it by naming it again.", "clerks"),
        "who": ("Whom it is for.", "{role: clerk}"),
        "types": ("", "[member, order]"),
        "actions": ("What they may do; `*` is everything.", "[view, create, edit]"),
        "rows": ("", '"created_by == current_user"'),
        "at": ("", "store"),
        "scope": ("", "own_and_below"),
        "fields": ("Which fields they see and write.", "{view: ['*'], edit: [name, phone]}"),
    },
    rights.Who: {
        "role": ("Everybody who holds this role, or one of a list.", "clerk"),
        "position": (
            "Everybody who holds this position somewhere, or one of a list; with a role, both.",
            "store_manager",
        ),
    },
    rights.FieldRights: {
        "view": ("Fields that can be seen; `*` is all.", "['*']"),
        "edit": ("Fields that can be written; `*` is all.", "[name, phone]"),
        "mask": ("", "[note]"),
        "clear": ("", "[phone]"),
    },
    loader.RoleList: {
        "roles": ("First key: the roles.", "[{name: clerk}]"),
        "positions": (
            "What people are at stores and in departments, from the lowest to the highest.",
            "[{name: store_manager}]",
        ),
    },
    model.Position: {
        "name": ("By which policies and flows ask for it.", "store_manager"),
        "label": ("What people read.", "{zh: 店长, en: Store manager}"),
        "manages": ("", "true"),
    },
}
