"""A running shell goes in, its web application comes out: health, metrics, payment webhooks, the console.

The local application, on a Unix socket of mode 0600, is another one: it needs no password but the file's mode.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from control.amounts import ChannelReport, PaymentRefusal
from control.payments import webhook
from prewatt import frontdesk, payhooks, secrets
from prewatt.actions import actions
from prewatt.errors import ShellError, Usage, translate
from prewatt.health import Probe, look, metrics, readiness
from prewatt.output import plain
from prewatt.ratelimit import Limiter
from prewatt.wiring import Shell
from storage.errors import StoreFailed

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOCAL_LIMIT = 1 << 20
RETRY_S = "30"

log = logging.getLogger("prewatt.http")
Current = Callable[[], Shell]
"""The shell in force: a reload replaces it."""


def application(current: Current, probe: Probe) -> Starlette:
    """The application that binds a TCP port."""
    limiter = Limiter()
    made: dict[str, Endpoint] = {
        "/healthz": _healthz,
        "/readyz": _readyz(current, probe),
        "/metrics": _metrics(current, probe),
        "/v1/payments/webhook": _webhook(current, probe),
        "/v1/payments/mpesa/{secret}/{kind}": payhooks.mpesa_at(current, probe),
        "/v1/payments/alipay": payhooks.alipay_at(current, probe),
    }
    routes: list[BaseRoute] = [
        Route(path, _counted(made[path], kind, limiter), methods=[method]) for method, path, _, kind in MACHINES
    ]
    routes.append(Mount("/", app=_Console(current)))
    return Starlette(routes=routes)


def local_application(current: Current, probe: Probe) -> Starlette:
    """The application behind the home's socket: every action that a writing verb can ask for."""
    return Starlette(routes=[Route("/local/{action}", _local(current, probe), methods=["POST"])])


class _Console:
    """The console on the shell in force: made anew after a reload."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._on: Shell | None = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shell = self._current()
        if self._app is None or shell is not self._on:
            self._on, self._app = shell, frontdesk.console_of(shell)
        await self._app(scope, receive, send)


Endpoint = Callable[[Request], Awaitable[Response]]
MACHINES = (
    ("GET", "/healthz", "nobody asked: says only that the process turns", "probe"),
    ("GET", "/readyz", "nobody asked: tests of progress, no account", "probe"),
    ("GET", "/metrics", "nobody asked: counts, no account", "probe"),
    ("POST", "/v1/payments/webhook", "a live key of `payments.webhook_secrets` signs the raw body", "webhook"),
    (
        "POST",
        "/v1/payments/mpesa/{secret}/{kind}",
        "the secret that `payments.mpesa_secret` names, in the path",
        "webhook",
    ),
    ("POST", "/v1/payments/alipay", "RSA2 by the public key that `payments.alipay_key` names", "webhook"),
)
"""Endpoints for machines: method, path, what it asks of them, and the kind by which requests are counted."""


def _counted(work: Endpoint, kind: str, limiter: Limiter) -> Endpoint:
    """The endpoint, for so many requests a minute of one address."""

    async def handle(request: Request) -> Response:
        wait = limiter.wait_s(kind, request.client.host if request.client else "", time.monotonic())
        if wait:
            return JSONResponse({"error": "too_many"}, status_code=429, headers={"retry-after": str(wait)})
        return await work(request)

    return handle


async def _healthz(request: Request) -> Response:  # noqa: ARG001
    """The process turns; nothing else is promised."""
    return JSONResponse({"ok": True})


def _readyz(current: Current, probe: Probe) -> Endpoint:
    async def readyz(request: Request) -> Response:  # noqa: ARG001
        """Whether work gets done: 503 with the tests that do not hold."""
        shell = current()
        health = await asyncio.to_thread(look, shell.store, shell.config)
        tests = readiness(health, shell.config, probe)
        ok = all(test["ok"] for test in tests.values())
        return JSONResponse({"ok": ok, "tests": plain(tests)}, status_code=200 if ok else 503)

    return readyz


def _metrics(current: Current, probe: Probe) -> Endpoint:
    async def serve(request: Request) -> Response:  # noqa: ARG001
        """Numbers for Prometheus."""
        shell = current()
        health = await asyncio.to_thread(look, shell.store, shell.config)
        return PlainTextResponse(metrics(health, probe, shell.engine.turns()), media_type=METRICS_TYPE)

    return serve


def _webhook(current: Current, probe: Probe) -> Endpoint:
    async def receive(request: Request) -> Response:
        """One payment: 200 only after its commit, the same answer to a replay; a refusal says why in one word."""
        shell = current()
        try:
            body = await payhooks.body_of(request, webhook.BODY_LIMIT)
        except ClientDisconnect:
            return Response(status_code=400)
        taken = webhook.accept(
            body if body is not None else b"\0" * (webhook.BODY_LIMIT + 1),
            request.headers,
            _keys(shell),
            shell.clock.now(),
        )
        if isinstance(taken, PaymentRefusal):
            probe.counts["webhook_refused"] += 1
            log.warning("payment webhook refused", extra={"reason": taken.reason})
            return JSONResponse({"error": taken.reason, "detail": taken.detail}, status_code=taken.status)
        if isinstance(taken, ChannelReport):
            return await _tally(shell, probe, taken)
        try:
            result = await shell.engine.pay(taken)
        except StoreFailed as failure:
            log.error("payment not taken: the store does not write", extra={"reason": str(failure)})
            return JSONResponse({"error": "try_again"}, status_code=503, headers={"retry-after": RETRY_S})
        probe.counts["webhook_taken"] += 1
        status = 409 if result.status == "conflict" else 200
        return Response(webhook.reply(result.reply()), status_code=status, media_type="application/json")

    return receive


async def _tally(shell: Shell, probe: Probe, report: ChannelReport) -> Response:
    """A provider's own count: 200 when it is ours too, else 409 with both numbers and since when."""
    try:
        result = await shell.engine.tally(report)
    except StoreFailed as failure:
        log.error("count not taken: the store does not write", extra={"reason": str(failure)})
        return JSONResponse({"error": "try_again"}, status_code=503, headers={"retry-after": RETRY_S})
    same = result.status in ("reconciled", "older")
    probe.counts["webhook_reconciled" if same else "webhook_different"] += 1
    if not same:
        log.warning("payment channel differs", extra=result.reply())
    return Response(webhook.reply(result.reply()), status_code=200 if same else 409, media_type="application/json")


def _keys(shell: Shell) -> list[bytes]:
    """The live keys of the webhook; one that cannot be read signs nothing, and the log says so."""
    keys = []
    for name in shell.config.payments.webhook_secrets:
        try:
            keys.append(webhook.secret(secrets.read(shell.config.home.secrets, name).decode()))
        except (ShellError, ValueError) as error:
            log.error("webhook secret unusable", extra={"secret": name, "reason": type(error).__name__})
    return keys


def _local(current: Current, probe: Probe) -> Endpoint:
    async def do(request: Request) -> Response:
        """Run one action; the answer is JSON lines: progress, then one result or one error."""
        body = await payhooks.body_of(request, LOCAL_LIMIT)
        try:
            asked = json.loads(body or b"")
            name, args, actor = request.path_params["action"], dict(asked["args"]), str(asked["actor"])
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": Usage("want actor and args").as_json()}, status_code=400)
        probe.counts[f"local_{name}" if name in actions() else "local_unknown"] += 1
        return StreamingResponse(_told(current(), name, args, actor), media_type="application/x-ndjson")

    return do


async def _told(shell: Shell, name: str, args: Mapping[str, Any], actor: str) -> AsyncIterator[str]:
    """The lines of one action's answer."""
    lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def progress(label: str, done: int, total: int) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, {"progress": [label, done, total]})

    task = asyncio.create_task(_answer(shell.as_actor(actor, progress), name, args))
    task.add_done_callback(lambda _: lines.put_nowait(None))
    while (line := await lines.get()) is not None:
        yield json.dumps(line) + "\n"
    yield json.dumps(await task) + "\n"


async def _answer(shell: Shell, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if name not in actions():
            raise Usage(f"the daemon knows no action {name!r}", attempt="restart it: it may be an older one")
        return {"result": plain(await actions()[name](shell, args))}
    except Exception as error:
        known = translate(error)
        if known is None:
            log.exception("action failed", extra={"action": name})
            known = ShellError(f"{type(error).__name__}: {error}", attempt="see the daemon's log")
        return {"error": known.as_json()}
