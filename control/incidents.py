"""Something that must never happen quietly goes in, one incident, audited and on the timeline, comes out."""

from dataclasses import replace
from datetime import datetime

from control.canonical import content_id
from control.records import Incident
from storage.unit import Unit


def identity(kind: str, account: str, cause: str) -> str:
    """The id of the incident that ``cause`` gives at ``account``."""
    return content_id("i", kind, account, cause)


def file(
    unit: Unit, kind: str, at: datetime, *, account: str = "", command: str = "", cause: str = "", detail: str = ""
) -> Incident:
    """File one incident per kind, account and cause (default: the command); a repeated one changes nothing."""
    key = identity(kind, account, cause or command)
    known = unit.get(Incident, key)
    if known is not None:
        return known
    made = Incident(key, kind, at, account=account, command=command, detail=detail)
    unit.put(made)
    unit.event("incident", at, account, incident=key, kind=kind, command=command)
    unit.audit("engine", f"incident.{kind}", key, {"account": account, "command": command, "detail": detail}, at)
    return made


def close(unit: Unit, key: str, at: datetime, *, by: str) -> bool:
    """Close an open incident; False when there is none."""
    known = unit.get(Incident, key)
    if known is None or known.closed is not None:
        return False
    unit.put(replace(known, closed=at))
    unit.audit(by, "incident.close", key, {"account": known.account}, at)
    return True
