"""One e-mail by SMTP."""

import smtplib
import ssl
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from core.errors import GuanxiError
from core.i18n import N_
from core.settings import Mail

#: Seconds for each step of the conversation with the mail server.
STEP_SECONDS = 10.0


class NotSetUp(GuanxiError):
    """The installation has no mail server."""

    code = "mail.not_set_up"
    status = 503
    text = N_("No mail server is set up (GUANXI_SMTP_URL).")


class MailRefused(GuanxiError):
    """The mail server did not take an e-mail."""

    code = "mail.refused"
    status = 502
    text = N_("The mail server did not take it: {reason}")


def make_mail(
    mail: Mail, *, to: Sequence[str], subject: str, body: str, message_id: str, at: datetime
) -> EmailMessage:
    """Return a plain text e-mail, with the same `Message-ID` at each try."""
    made = EmailMessage()
    name, sender = parseaddr(mail.sender)
    made["From"] = Address(name, addr_spec=sender)
    made["To"] = [Address(addr_spec=one) for one in to]
    made["Subject"] = subject
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(body)
    return made


def send_mail(mail: Mail, made: EmailMessage) -> None:
    """Hand an e-mail to the mail server.

    Raises:
        MailRefused: it did not take it.
    """
    try:
        with _connect(mail) as server:
            if mail.user:
                server.login(mail.user, mail.password)
            refused = server.send_message(made)
    except (OSError, smtplib.SMTPException) as error:
        raise MailRefused(reason=f"{type(error).__name__}: {error}"[:300]) from error
    if refused:
        raise MailRefused(reason=", ".join(sorted(refused))[:300])


def _connect(mail: Mail) -> smtplib.SMTP:
    if mail.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=STEP_SECONDS, context=context)
    server = smtplib.SMTP(mail.host, mail.port, timeout=STEP_SECONDS)
    try:
        if mail.security == "starttls":
            server.starttls(context=ssl.create_default_context())
    except BaseException:
        server.close()
        raise
    return server
