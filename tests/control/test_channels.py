"""Notice channels: one contract for all, then what each must do when its peer fails."""

import asyncio
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from control.channels import kinds
from control.channels.file import FileOutbox
from control.channels.smtp import Mail
from control.channels.webhook import WebhookOut
from control.notices import Sender
from control.payments.webhook import sign
from control.ports import ChannelError, Delivery
from control.records import Notice
from storage.records import AccountState
from storage.store import Priority
from tests.control.rig import NOW, SETTINGS, Rig

TO, PARAMS = "li@example.org", {"amount": "3.20"}
NOTE = Notice("n-1", "A1", 1, "money.1", "customer", "x", TO, "zh", "warning", PARAMS, NOW, text="余额3.20")


def run(work):  # type: ignore[no-untyped-def]
    return asyncio.run(work)


def test_every_channel_is_found_by_name_with_its_settings_explained() -> None:
    found = kinds()
    assert sorted(found) == ["alarm", "display", "file", "smpp", "smtp", "template", "webhook"]
    assert all(kind.settings and all(kind.settings.values()) for kind in found.values())


def test_two_channels_of_one_name_are_refused() -> None:
    from importlib.metadata import EntryPoint

    from control.ports import ChannelKind
    from ingest import plugins
    from ingest.errors import ProfileError

    twin = EntryPoint("file", "control.channels.file:CHANNEL", "prewatt.channels")
    with pytest.raises(ProfileError, match="taken by"):
        plugins.load("control.channels", "CHANNEL", ChannelKind, extra=(twin,))


# ---- file


def test_the_file_outbox_appends_one_line_and_has_its_receipt(tmp_path: Path) -> None:
    box = kinds()["file"].make({"path": str(tmp_path / "out.ndjson")}, lambda name: b"")
    assert run(box.send(NOTE, NOW)) == "n-1" and run(box.send(NOTE, NOW)) == "n-1"
    lines = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 and lines[0]["text"] == "余额3.20" and lines[0]["to"] == "li@example.org"
    assert run(box.receipt("n-1", NOW)) == Delivery("delivered", NOW, "n-1")


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ChannelError) as raised:
        run(FileOutbox(tmp_path / "no" / "such" / "folder").send(NOTE, NOW))
    assert not raised.value.permanent


# ---- smtp


class _Mailbox(socketserver.StreamRequestHandler):
    """A mail server of twenty lines: it answers what its ``codes`` say."""

    def handle(self) -> None:
        codes, mails = self.server.codes, self.server.mails  # type: ignore[attr-defined]
        self.wfile.write(b"220 test\r\n")
        data: list[bytes] = []
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    data.append(part)
                mails.append(b"".join(data))
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(codes.get(word, b"250 ok") + b"\r\n")


@pytest.fixture
def mail() -> Iterator[tuple[Mail, socketserver.ThreadingTCPServer]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox)
    server.daemon_threads = True
    server.codes, server.mails = {}, []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Mail("127.0.0.1", server.server_address[1], "prewatt@example.org", tls="none"), server
    server.shutdown()
    server.server_close()


@pytest.mark.sockets
def test_a_mail_goes_out_with_the_notice_as_its_id(mail: tuple[Mail, socketserver.ThreadingTCPServer]) -> None:
    channel, server = mail
    assert run(channel.send(NOTE, NOW)) == "<n-1@example.org>"
    (text,) = server.mails  # type: ignore[attr-defined]
    assert b"To: li@example.org" in text and b"Message-ID: <n-1@example.org>" in text
    assert run(channel.receipt("<n-1@example.org>", NOW)).state == "delivered"


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("word", "code", "permanent"),
    [(b"RCPT", b"550 no such user", True), (b"RCPT", b"451 later", False), (b"MAIL", b"421 busy", False)],
)
def test_what_the_mail_server_says_decides_on_a_retry(
    mail: tuple[Mail, socketserver.ThreadingTCPServer], word: bytes, code: bytes, permanent: bool
) -> None:
    channel, server = mail
    server.codes[word] = code  # type: ignore[attr-defined]
    with pytest.raises(ChannelError) as raised:
        run(channel.send(NOTE, NOW))
    assert raised.value.permanent is permanent


def test_an_address_that_would_inject_headers_is_refused() -> None:
    for address in ("a@b\r\nBcc: all@b", "nobody"):
        with pytest.raises(ChannelError) as raised:
            run(Mail("127.0.0.1", 9, "p@x", tls="none").send(replace(NOTE, address=address), NOW))
        assert raised.value.permanent and raised.value.reason == "bad_address"


def test_a_dead_mail_server_is_tried_again() -> None:
    with pytest.raises(ChannelError) as raised:
        run(Mail("127.0.0.1", 1, "p@x", tls="none").send(NOTE, NOW))
    assert not raised.value.permanent


# ---- webhook


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((dict(self.headers), body))  # type: ignore[attr-defined]
        status, answer = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def hook() -> Iterator[tuple[WebhookOut, HTTPServer]]:
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.seen, server.answer = [], (200, b"{}")  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield WebhookOut(f"http://127.0.0.1:{server.server_address[1]}/sms?k=1", b"key"), server
    server.shutdown()
    server.server_close()


@pytest.mark.sockets
def test_a_post_is_signed_as_standard_webhooks_want_it(hook: tuple[WebhookOut, HTTPServer]) -> None:
    channel, server = hook
    assert run(channel.send(NOTE, NOW)) == "n-1"
    ((headers, body),) = server.seen  # type: ignore[attr-defined]
    want = sign(b"key", "n-1", NOW, body)
    assert {name.lower(): value for name, value in headers.items() if name.lower().startswith("webhook")} == want
    assert json.loads(body)["data"]["text"] == "余额3.20"
    assert run(channel.receipt("n-1", NOW)).state == "pending"


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("answer", "state"),
    [(b'{"state": "delivered"}', "delivered"), (b'{"state": "failed"}', "failed"), (b"x", "pending")],
)
def test_the_answer_may_be_the_receipt(hook: tuple[WebhookOut, HTTPServer], answer: bytes, state: str) -> None:
    channel, server = hook
    server.answer = (202, answer)  # type: ignore[attr-defined]
    run(channel.send(NOTE, NOW))
    assert run(channel.receipt("n-1", NOW)).state == state


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("status", "permanent"), [(400, True), (404, True), (408, False), (429, False), (500, False), (301, False)]
)
def test_a_status_decides_on_a_retry(hook: tuple[WebhookOut, HTTPServer], status: int, permanent: bool) -> None:
    channel, server = hook
    server.answer = (status, b"")  # type: ignore[attr-defined]
    with pytest.raises(ChannelError) as raised:
        run(channel.send(NOTE, NOW))
    assert raised.value.permanent is permanent


# ---- the sender


class Flaky:
    """A channel that fails ``failures`` times, then works; receipts come when ``receipts`` says so."""

    name = "flaky"

    def __init__(self, failures: int = 0, *, permanent: bool = False, state: str = "delivered") -> None:
        self.failures, self.permanent, self.state = failures, permanent, state
        self.sent: list[tuple[datetime, str]] = []

    async def send(self, notice: Notice, now: datetime) -> str:
        if self.failures:
            self.failures -= 1
            raise ChannelError("down", permanent=self.permanent)
        self.sent.append((now, notice.notice))
        return "id-" + notice.notice

    async def receipt(self, message_id: str, now: datetime) -> Delivery:
        return Delivery(self.state, now if self.state == "delivered" else None)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def queued(rig: Rig, **changes: object) -> Notice:
    made = replace(NOTE, channel="flaky", rung="money.2", **changes)  # type: ignore[arg-type]
    rig.put(made)
    return made


def sender(rig: Rig, **channels: Flaky) -> Sender:
    return Sender(rig.store, rig.clock, channels, replace(SETTINGS, fallback={"flaky": "spare"}))


def row(rig: Rig) -> Notice:
    found = rig.get(Notice, "n-1")
    assert isinstance(found, Notice)
    return found


def test_a_notice_waits_for_the_end_of_quiet_hours(rig: Rig) -> None:
    channel = Flaky()
    queued(rig, not_before=NOW + timedelta(hours=2))
    for _ in range(5):
        run(sender(rig, flaky=channel).run_once())
        rig.clock.forward(1800)
    assert channel.sent == [(NOW + timedelta(hours=2), "n-1")]
    assert (row(rig).state, row(rig).delivered_at) == ("delivered", NOW + timedelta(hours=2))


def test_a_failure_is_tried_again_ever_more_slowly_and_then_over_the_fallback(rig: Rig) -> None:
    channel, spare = Flaky(failures=99), Flaky()
    queued(rig)
    for _ in range(400):
        run(sender(rig, flaky=channel, spare=spare).run_once())
        rig.clock.forward(60)
    assert 99 - channel.failures == SETTINGS.notice_tries
    assert spare.sent != [] and row(rig).channel == "spare" and row(rig).state == "delivered"


def test_a_permanent_failure_takes_the_fallback_at_once_and_without_one_is_seen(rig: Rig) -> None:
    spare = Flaky(failures=1, permanent=True)
    queued(rig)
    run(sender(rig, flaky=Flaky(failures=1, permanent=True), spare=spare).run_once())
    assert (row(rig).state, row(rig).channel) == ("queued", "spare")
    run(sender(rig, spare=spare).run_once())
    assert (row(rig).state, row(rig).error) == ("failed", "down")
    assert len(rig.events("notice_failed")) == 1


def test_a_receipt_may_come_later_and_by_itself(rig: Rig) -> None:
    channel = Flaky(state="pending")
    queued(rig)
    run(sender(rig, flaky=channel).run_once())
    assert (row(rig).state, row(rig).delivered_at) == ("sent", None)
    rig.clock.forward(90)
    assert run(sender(rig, flaky=channel).receipt("id-n-1", Delivery("delivered", rig.clock.now())))
    assert row(rig).state == "delivered"
    assert not run(sender(rig, flaky=channel).receipt("id-n-1", Delivery("delivered", rig.clock.now())))


def test_a_receipt_that_never_comes_is_given_up_and_delivers_nothing(rig: Rig) -> None:
    channel = Flaky(state="pending")
    queued(rig)
    for _ in range(80):
        run(sender(rig, flaky=channel).run_once())
        rig.clock.forward(3600)
    assert (row(rig).state, row(rig).error, row(rig).delivered_at) == ("failed", "no_receipt", None)
    assert len(channel.sent) == 1


def test_a_warning_is_not_sent_once_its_epoch_is_over(rig: Rig) -> None:
    channel = Flaky()
    queued(rig)
    rig.put(replace(rig.get(AccountState, "A1"), epoch=2))  # type: ignore[type-var]
    run(sender(rig, flaky=channel).run_once())
    assert channel.sent == [] and row(rig).error == "epoch_over"


def test_a_crash_between_sending_and_its_commit_sends_again_under_the_same_id(rig: Rig) -> None:
    channel = Flaky()
    queued(rig)

    def die(name: str) -> None:
        raise RuntimeError("crash")

    rig.store.crash_points = die
    with pytest.raises(RuntimeError):
        run(sender(rig, flaky=channel).run_once())
    rig.store.crash_points = lambda name: None
    rig.reopen()
    run(sender(rig, flaky=channel).run_once())
    assert [name for _, name in channel.sent] == ["n-1", "n-1"] and row(rig).state == "delivered"


def test_a_notice_is_written_once_per_epoch_rung_and_recipient(rig: Rig) -> None:
    from control import assemble, notices
    from control.alerts import AlertDue

    due = [AlertDue("share.30", who, "warning", {"amount": "1"}) for who in ("customer", "second", "collector")]

    def work(unit):  # type: ignore[no-untyped-def]
        case = assemble.case(unit, "A1", rig.world())
        return notices.queue(unit, case, due, rig.world())

    first = rig.store.write(Priority.BATCH, work)
    assert [notice.recipient for notice in first] == ["customer", "collector"], "there is no second contact"
    assert rig.store.write(Priority.BATCH, work) == []
