"""Why the till refuses; more than one thing at once is an `Invalid` with a problem for each."""

from core.errors import Conflict, Invalid
from core.i18n import N_


class Underpaid(Invalid):
    """The payments do not reach what is to be paid."""

    code = "till.underpaid"
    text = N_("{missing} is still to be paid.")


class TooMuchChange(Invalid):
    """More change than cash, or more kept than there is change."""

    code = "till.change"
    text = N_("At most {most} can be given or kept as change.")


class CertificateMismatch(Conflict):
    """The certificate sent along is not the one of these prices."""

    code = "till.certificate_mismatch"
    text = N_("The prices are no longer those of this certificate. Please ask for them again.")


class OrderFixed(Conflict):
    """An order of the till is evidence; what is wrong is returned, never edited."""

    code = "till.order_fixed"
    text = N_("An order of the till cannot be changed or deleted; return it instead.")


class NotReturnable(Conflict):
    """It is no sale, so nothing of it can come back."""

    code = "till.not_a_sale"
    text = N_("Only a sale can be returned.")
