"""Notices go in, mails to a configured server come out; the server's 250 counts as delivery where no bounce is read.

``smtplib`` blocks, so each mail runs in a worker thread with a time-out of its own. The Message-ID is made from the
notice's id, so that a mail sent twice after a crash is one mail to the reader.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from control.ports import ChannelError, ChannelKind, Delivery
from control.records import Notice

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Mail:
    """Where and as whom to send. ``tls`` is starttls, tls or none (loopback only)."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: bytes = b""
    tls: str = "starttls"
    subject: str = "prewatt"
    name: str = "smtp"

    async def send(self, notice: Notice, now: datetime) -> str:
        """Send one mail; 5xx answers are permanent, all other failures are tried again."""
        message = self._message(notice, now)
        try:
            await asyncio.to_thread(self._deliver, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise ChannelError("recipient_refused", permanent=all(code >= 500 for code in codes)) from error
        except smtplib.SMTPResponseException as error:
            raise ChannelError(f"smtp_{error.smtp_code}", permanent=error.smtp_code >= 550) from error
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelError(f"smtp_{type(error).__name__}") from error
        return str(message["Message-ID"])

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        """The server took it; bounces come back as failed receipts through the engine."""
        return Delivery("delivered", now, message_id)

    def _message(self, notice: Notice, now: datetime) -> EmailMessage:
        if "\n" in notice.address or "\r" in notice.address or "@" not in notice.address:
            raise ChannelError("bad_address", permanent=True)
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = notice.address
        message["Subject"] = f"{self.subject}: {notice.code}"
        message["Date"] = format_datetime(now.replace(tzinfo=UTC))
        message["Message-ID"] = f"<{notice.notice}@{self.sender.rpartition('@')[2]}>"
        message.set_content(notice.text)
        return message

    def _deliver(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
        with server:
            if self.tls == "starttls":
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self.password.decode())
            server.send_message(message)


def _make(settings: Mapping[str, str], secret: Callable[[str], bytes]) -> Mail:
    return Mail(
        host=settings["host"],
        port=int(settings.get("port", "587")),
        sender=settings["sender"],
        user=settings.get("user", ""),
        password=secret(settings["password"]) if settings.get("password") else b"",
        tls=settings.get("tls", "starttls"),
        subject=settings.get("subject", "prewatt"),
    )


CHANNEL = ChannelKind(
    "smtp",
    _make,
    {
        "host": "the mail server",
        "port": "its port, 587 unless told",
        "sender": "the From address",
        "user": "login name, empty for none",
        "password": "NAME of the secret that holds the password",
        "tls": "starttls, tls, or none for a server on loopback",
        "subject": "first words of the subject line",
    },
)
