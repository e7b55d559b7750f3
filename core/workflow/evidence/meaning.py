"""What a person says by pressing a button: shown beside it and kept with what they did."""

from collections.abc import Mapping

from core.i18n import N_, translate

#: Verb -> what it means; the title is that of the document.
_TEXTS: Mapping[str, str] = {
    "submit": N_("I submit {title} for approval as it stands."),
    "approve": N_("I approve the release of {title} as it was shown to me."),
    "reject": N_("I reject {title} as it was shown to me."),
    "abstain": N_("I abstain from deciding on {title}."),
    "complete": N_("I have done my part on {title}."),
    "return": N_("I return {title} to be changed."),
    "transfer": N_("I hand my decision on {title} over to somebody else."),
    "delegate": N_("I ask somebody else for advice on {title}."),
    "add_before": N_("I have others decide on {title} before me."),
    "add_after": N_("I approve the release of {title} if those whom I add agree."),
    "add_beside": N_("I have others decide on {title} beside me."),
    "remove_added": N_("I take back that somebody decides on {title}."),
    "take_back": N_("I take back my decision on {title}."),
    "withdraw": N_("I withdraw {title}."),
    "suspend": N_("I halt the approval of {title}."),
    "resume": N_("I let the approval of {title} go on."),
    "terminate": N_("I end the approval of {title} without a decision."),
}

#: The verbs that people do themselves and that say something.
SPOKEN = frozenset(_TEXTS)


def meaning_of(verb: str, title: str, locale: str) -> str:
    """Return what doing `verb` says, in the person's language; empty where it says nothing."""
    text = _TEXTS.get(verb)
    return translate(text, locale, title=title) if text else ""
