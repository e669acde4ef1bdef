"""The configuration: what it refuses, what is in force, and that secrets never stand in it."""

import re
from pathlib import Path

import pytest

from prewatt import secrets
from prewatt.config import Config, check, load
from prewatt.describe import in_force, settings
from prewatt.errors import BadConfig, Usage
from prewatt.founding import TEMPLATE, found
from prewatt.home import Home, find

WORDS = {"name": "n", "zone": "Asia/Shanghai", "currency": "CNY", "book": "demo", "template": "cn-remote"}


def read(text: str) -> Config:
    """A configuration without a folder."""
    return check(text, Home(Path("/nowhere")))


@pytest.mark.parametrize(
    ("text", "which", "attempt"),
    [
        ("[site]\nzone = 'Mars/Base'", "prewatt.toml:2:site.zone", "IANA"),
        ("[site]\ncurrency = 'yuan'", "prewatt.toml:2:site.currency", "CNY"),
        ("[site]\nlang = 'de'", "prewatt.toml:2:site.lang", "one of en, zh"),
        (
            "[[gateway]]\nname='a'\nprotocol='modbus'\nhost='h'\n[[gateway]]\nname='a'\nprotocol='dlms'\nhost='h'",
            "prewatt.toml:6:gateway.1.name",
            "another name",
        ),
        ("[[gateway]]\nname='a'\nprotocol='modbsu'\nhost='h'", "prewatt.toml:3:gateway.0.protocol", "'modbus'"),
        ("[http]\nport = 70000", "prewatt.toml:2:http.port", "0 to 65535"),
        ("[[channel]]\nname='a'\nkind='fiel'", "prewatt.toml:3:channel.0.kind", "'file'"),
        ("[[channel]]\nname='a'\nkind='file'\npaht='x'", "prewatt.toml:4:channel.0.paht", "'path'"),
        ("[notices.routes]\ncustomer = 'sms'", "prewatt.toml:2:notices.routes.customer", "one of file"),
        ("[notices.routes]\nclient = 'file'", "prewatt.toml:2:notices.routes.client", "customer"),
        ("[engine]\ncycel_s = 60", "prewatt.toml:2:engine.cycel_s", "'cycle_s'"),
        ("[gatway]", "prewatt.toml:1:gatway", "'gateway'"),
        ("[broker]\npassword = 'Hunter 2!'", "prewatt.toml:2:broker.password", "secrets/NAME"),
        ("[payments]\nwebhook_secrets = ['whsec_AbC/=']", "prewatt.toml:2:payments.webhook_secrets.0", "secrets/NAME"),
        ("[payments.csv]\namuont = 'x'", "prewatt.toml:2:payments.csv.amuont", "'amount'"),
    ],
)
def test_refusals(text: str, which: str, attempt: str) -> None:
    with pytest.raises(BadConfig) as refused:
        read(text)
    assert refused.value.which == which
    assert attempt in refused.value.attempt


def test_the_refusal_of_a_secret_does_not_repeat_it() -> None:
    with pytest.raises(BadConfig) as refused:
        read("[broker]\npassword = 'Hunter 2!'")
    assert "Hunter" not in refused.value.as_text()


def test_what_init_writes_is_a_configuration(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    found(home, **WORDS)
    config = load(home)
    assert config.site.zone == "Asia/Shanghai"
    assert config.payments.webhook_secrets == ("payments-webhook",)
    assert secrets.read(home.secrets, "payments-webhook").startswith(b"whsec_")
    assert (home.root.stat().st_mode & 0o777, home.config.stat().st_mode & 0o777) == (0o700, 0o600)


def test_its_comments_are_a_configuration_too(tmp_path: Path) -> None:
    """Every commented example works when its # is taken away."""
    text = re.sub(r"^# (?=\[|\w+ = )", "", TEMPLATE.format(**WORDS), flags=re.M)
    config = check(text, Home(tmp_path))
    assert (len(config.gateway), len(config.channel), config.broker.enabled) == (1, 1, True)


def test_init_never_touches_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    found(home, **WORDS)
    before = home.config.read_bytes()
    with pytest.raises(Usage):
        found(home, **(WORDS | {"zone": "UTC"}))
    assert home.config.read_bytes() == before


def test_a_home_is_named_by_option_then_environment_then_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "prewatt.toml").touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("PREWATT_HOME", raising=False)
    assert find(None).root == tmp_path / "here"
    monkeypatch.setenv("PREWATT_HOME", str(tmp_path / "env"))
    assert find(None).root == tmp_path / "env"
    assert find(tmp_path / "option").root == tmp_path / "option"
    monkeypatch.delenv("PREWATT_HOME")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find(None).root == tmp_path / "data" / "prewatt"


def test_no_home_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Usage) as refused:
        load(Home(tmp_path))
    assert refused.value.attempt == f"prewatt init {tmp_path}"


def test_secrets_come_from_environment_credentials_or_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sms-key"
    file.write_bytes(b"from file\n")
    file.chmod(0o600)
    assert secrets.read(tmp_path, "sms-key") == b"from file"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "sms-key").write_bytes(b"from systemd")
    (credentials / "sms-key").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert secrets.read(tmp_path, "sms-key") == b"from systemd"
    monkeypatch.setenv("PREWATT_SECRET_SMS_KEY", "from environment")
    assert secrets.read(tmp_path, "sms-key") == b"from environment"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"x")
    file.chmod(mode)
    with pytest.raises(BadConfig) as refused:
        secrets.read(tmp_path, "key")
    assert refused.value.attempt == f"chmod 600 {file}"


@pytest.mark.parametrize("name", ["../etc/passwd", "", "A", "a/b", "x" * 64])
def test_only_names_of_secrets_are_looked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadConfig):
        secrets.read(tmp_path, name)


def test_a_secret_too_long_to_be_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"x" * (secrets.LIMIT + 1))
    file.chmod(0o600)
    with pytest.raises(BadConfig):
        secrets.read(tmp_path, "key")


def test_every_setting_is_explained() -> None:
    rows = settings()
    assert len({row["key"] for row in rows}) == len(rows) > 30
    assert [row["key"] for row in rows if not row["doc"]] == []


def test_what_is_in_force_names_its_line() -> None:
    rows = {row["key"]: row for row in in_force(read("[site]\nname = 'x'\n\n[http]\nport = 1"))}
    assert rows["site.name"] == {"key": "site.name", "value": "x", "from": "prewatt.toml:2"}
    assert rows["http.port"]["from"] == "prewatt.toml:5"
    assert rows["http.host"]["from"] == "default"
