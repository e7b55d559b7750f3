"""What the rights of Flask-AppBuilder's own pages are called, for those who hand them out."""

from core.i18n import N_, translate

#: What may be done.
_ACTIONS = {
    "can list": N_("See the list"),
    "can show": N_("See one"),
    "can add": N_("Add"),
    "can edit": N_("Edit"),
    "can delete": N_("Delete"),
    "can download": N_("Download"),
    "can this form get": N_("See the form"),
    "can this form post": N_("Send the form"),
    "can userinfo": N_("See one's own account"),
    "copyrole": N_("Copy"),
    "menu access": N_("Menu entry"),
    "resetmypassword": N_("Change one's own password"),
    "resetpasswords": N_("Reset passwords"),
    "userinfoedit": N_("Edit one's own account"),
}

#: Where it may be done.
_PLACES = {
    "Base Permissions": N_("Kinds of rights"),
    "List Groups": N_("Groups"),
    "List Roles": N_("Roles"),
    "List Users": N_("Users"),
    "Permission on Views/Menus": N_("Rights"),
    "PermissionModelView": N_("Kinds of rights"),
    "PermissionViewModelView": N_("Rights"),
    "ResetMyPasswordView": N_("One's own password"),
    "ResetPasswordView": N_("Passwords"),
    "RoleModelView": N_("Roles"),
    "Security": N_("Security"),
    "UserDBModelView": N_("Users"),
    "UserGroupModelView": N_("Groups"),
    "UserInfoEditView": N_("One's own account"),
    "ViewMenuModelView": N_("Pages and menus"),
    "Views/Menus": N_("Pages and menus"),
}


def permission_label(name: str, locale: str) -> str:
    """Return `can list on RoleModelView` as people read it; what is not known stays as it is."""
    action, _, place = name.partition(" on ")
    if not place:
        return name
    parts = [_PLACES.get(place, place), _ACTIONS.get(action, action)]
    return " · ".join(translate(part, locale) for part in parts)
