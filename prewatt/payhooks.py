"""A provider's POST goes in, its own kind of answer comes out, and only after the payment's commit: M-Pesa and Alipay.

A provider that is not configured does not exist (404); what is refused is counted and logged, never answered as taken,
so that the provider sends it again.
"""

import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from control.amounts import PaymentRefusal
from control.payments import alipay, mpesa
from prewatt import secrets
from prewatt.errors import ShellError
from prewatt.health import Probe
from prewatt.wiring import Shell
from storage.errors import StoreFailed
from storage.records import Account, Payment

Endpoint = Callable[[Request], Awaitable[Response]]
RETRY_S = "30"
KINDS = ("validation", "confirmation")

log = logging.getLogger("prewatt.http")


async def body_of(request: Request, limit: int) -> bytes | None:
    """The raw body, None when it is longer than ``limit``; no more than that is ever held."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > limit:
            return None
    return bytes(held)


def mpesa_at(current: Callable[[], Shell], probe: Probe) -> Endpoint:
    """Validation and confirmation of M-Pesa C2B."""

    async def receive(request: Request) -> Response:
        """A confirmation is answered after its commit; a validation says whether the account is there."""
        shell = current()
        given, kind = str(request.path_params["secret"]).encode(), str(request.path_params["kind"])
        wanted = _secret(shell, shell.config.payments.mpesa_secret)
        if not wanted or not hmac.compare_digest(given, wanted) or kind not in KINDS:
            return Response(status_code=404)
        body = await _read(request, mpesa.BODY_LIMIT)
        taken = mpesa.accept(body, shell.config.payments.mpesa_shortcode, shell.clock.now())
        if isinstance(taken, PaymentRefusal):
            return _refused(taken, probe, "mpesa")
        if kind == "validation":
            there = shell.store.read(lambda reader: reader.get(Account, taken.account))
            open_here = there is not None and there.closed is None and there.currency == taken.currency
            return JSONResponse(dict(mpesa.ACCEPTED if open_here else mpesa.UNKNOWN_ACCOUNT))
        return await _paid(shell, probe, taken, JSONResponse(dict(mpesa.ACCEPTED)))

    return receive


def alipay_at(current: Callable[[], Shell], probe: Probe) -> Endpoint:
    """Notifications in the way of Alipay."""

    async def receive(request: Request) -> Response:
        """Exactly ``success`` after the commit, and again for a replay."""
        shell = current()
        key = _secret(shell, shell.config.payments.alipay_key)
        if not key:
            return Response(status_code=404)
        body = await _read(request, alipay.BODY_LIMIT)
        taken = alipay.accept(body, key, shell.config.payments.alipay_app, shell.clock.now())
        if isinstance(taken, PaymentRefusal):
            return _refused(taken, probe, "alipay")
        return await _paid(shell, probe, taken, Response(alipay.SUCCESS, media_type="text/plain"))

    return receive


async def _read(request: Request, limit: int) -> bytes:
    try:
        body = await body_of(request, limit)
    except ClientDisconnect:
        return b""
    return body if body is not None else b"\0" * (limit + 1)


def _secret(shell: Shell, name: str) -> bytes:
    """The secret, b"" where none is named or it cannot be read: then nothing is believed."""
    if not name:
        return b""
    try:
        return secrets.read(shell.config.home.secrets, name)
    except ShellError as error:
        log.error("payment secret unusable", extra={"secret": name, "reason": type(error).__name__})
        return b""


def _refused(refusal: PaymentRefusal, probe: Probe, channel: str) -> Response:
    probe.counts["webhook_refused"] += 1
    log.warning("payment refused", extra={"channel": channel, "reason": refusal.reason})
    return Response(json.dumps({"error": refusal.reason}), refusal.status, media_type="application/json")


async def _paid(shell: Shell, probe: Probe, payment: Payment, answer: Response) -> Response:
    """Post it, then answer; 409 for another body under a known id, 503 while the store does not write."""
    try:
        result = await shell.engine.pay(payment)
    except StoreFailed as failure:
        log.error("payment not taken: the store does not write", extra={"reason": str(failure)})
        return JSONResponse({"error": "try_again"}, status_code=503, headers={"retry-after": RETRY_S})
    probe.counts["webhook_taken"] += 1
    if result.status == "conflict":
        return JSONResponse({"error": "conflict"}, status_code=409)
    return answer
