"""Settings: every key of the contract, its default, what is allowed, and which place wins."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetseal.core.config import (
    DEFINITIONS,
    Settings,
    Sources,
    data_directory,
    definition_of,
    parse,
    read_sources,
    show,
)
from fleetseal.core.errors import InvalidInput

CONTRACT = {  # the table "Settings and defaults" of the command line's contract
    "certificate.common-name": "address",
    "certificate.domains": "",
    "certificate.validity-days": "365",
    "certificate.key-type": "auto",
    "certificate.key-origin": "auto",
    "certificate.warning-days": "30",
    "certificate.public-url": "",
    "publish.listen": "",
    "web.host": "127.0.0.1",
    "web.port": "8443",
    "web.certificate": "",
    "web.key": "",
    "renewal.automatic": "true",
    "renewal.window": "01:00-05:00",
    "https.policy": "keep",
    "https.escape-route": "reopen",
    "https.verify-seconds": "240",
    "https.soak-seconds": "60",
    "security.ignore-certificate-validation": "true",
    "devices.maker-roots": "",
    "discovery.use-hostname": "false",
    "jobs.concurrency": "100",
    "audit.anchor-file": "",
    "audit.anchor-syslog": "",
    "alarm.email": "",
    "alarm.webhook": "",
    "alarm.syslog": "",
}

ACCEPTED = [
    ("certificate.common-name", "hostname", "hostname"),
    ("certificate.domains", " Example.org., cams.example.org ,example.org", ("example.org", "cams.example.org")),
    ("certificate.domains", "", ()),
    ("certificate.validity-days", "1", 1),
    ("certificate.validity-days", "825", 825),
    ("certificate.public-url", "http://pki.example.org:8080/ca/", "http://pki.example.org:8080/ca"),
    ("publish.listen", "0.0.0.0:8080", "0.0.0.0:8080"),
    ("publish.listen", "[::]:65535", "[::]:65535"),
    ("web.host", "::", "::"),
    ("web.host", "", ""),
    ("web.port", "0", 0),
    ("renewal.automatic", "False", False),
    ("renewal.window", "23:30-02:00", "23:30-02:00"),
    ("https.verify-seconds", "5", 5),
    ("https.soak-seconds", "0", 0),
    ("https.soak-seconds", "600", 600),
]

REFUSED = [
    ("certificate.common-name", "ip"),
    ("certificate.domains", "exa_mple.org"),
    ("certificate.domains", "*.example.org"),
    ("certificate.domains", "-a.org"),
    ("certificate.validity-days", "0"),
    ("certificate.validity-days", "826"),
    ("certificate.validity-days", "1e2"),
    ("certificate.validity-days", "-1"),
    ("certificate.validity-days", "٣٦٥"),
    ("certificate.key-type", "rsa-1024"),
    ("certificate.public-url", "https://pki.example.org"),
    ("certificate.public-url", "http://"),
    ("publish.listen", "localhost:80"),
    ("publish.listen", "0.0.0.0"),
    ("publish.listen", "0.0.0.0:0"),
    ("publish.listen", "0.0.0.0:65536"),
    ("publish.listen", "::1:80"),
    ("renewal.automatic", "yes"),
    ("renewal.window", "1:00-5:00"),
    ("renewal.window", "24:00-05:00"),
    ("renewal.window", "05:00-05:00"),
    ("https.policy", "http"),
    ("https.escape-route", ""),
    ("https.verify-seconds", "4"),
    ("https.verify-seconds", "601"),
    ("https.soak-seconds", "601"),
    ("alarm.email", "a\nb"),
]


def test_the_keys_and_defaults_are_those_of_the_contract() -> None:
    assert {key: show(definition.default) for key, definition in DEFINITIONS.items()} == CONTRACT


def test_without_any_source_the_defaults_are_in_force() -> None:
    assert Sources({}, {}).settings({}) == Settings()


@pytest.mark.parametrize("key", CONTRACT)
def test_every_default_is_allowed_and_shown_as_typed(key: str) -> None:
    assert parse(key, CONTRACT[key]) == DEFINITIONS[key].default
    assert DEFINITIONS[key].help


@pytest.mark.parametrize(("key", "text", "value"), ACCEPTED)
def test_accepted(key: str, text: str, value: object) -> None:
    assert parse(key, text) == value
    assert parse(key, show(parse(key, text))) == value


@pytest.mark.parametrize(("key", "text"), REFUSED)
def test_refused_with_the_allowed_values(key: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(key, text)
    assert key in caught.value.message
    assert DEFINITIONS[key].kind.allowed in caught.value.message


@given(key=st.sampled_from(list(CONTRACT)), text=st.text(max_size=40))
def test_no_text_does_anything_else_than_parse_or_be_refused(key: str, text: str) -> None:
    try:
        value = parse(key, text)
    except InvalidInput:
        return
    assert parse(key, show(value)) == value


def test_an_unknown_key_is_refused_with_all_keys() -> None:
    with pytest.raises(InvalidInput) as caught:
        definition_of("certificate.validity")
    assert all(key in caught.value.message for key in CONTRACT)


def test_environment_wins_over_database_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "fleetseal.toml").write_text("[certificate]\nvalidity-days = 90\n")
    key = "certificate.validity-days"
    with_all = read_sources(tmp_path, {"FLEETSEAL_CERTIFICATE_VALIDITY_DAYS": "30"})
    without_variable = read_sources(tmp_path, {})
    nothing = read_sources(tmp_path / "other", {})
    stored = {key: "60"}
    found = [
        (sources.settings(stored).certificate_validity_days, sources.origin(key, stored))
        for sources, stored in (
            (with_all, stored),
            (without_variable, stored),
            (without_variable, dict[str, str]()),
            (nothing, dict[str, str]()),
        )
    ]
    assert found == [(30, "environment"), (60, "database"), (90, "file"), (365, "default")]


def test_the_file_may_use_tables_dotted_keys_and_lists(tmp_path: Path) -> None:
    text = 'https.soak-seconds = 3\nrenewal.automatic = false\n[certificate]\ndomains = ["a.org", "b.org"]\n'
    assert tomllib.loads(text)
    (tmp_path / "fleetseal.toml").write_text(text)
    settings = read_sources(tmp_path, {}).settings({})
    assert (settings.https_soak_seconds, settings.renewal_automatic) == (3, False)
    assert settings.certificate_domains == ("a.org", "b.org")


@pytest.mark.parametrize("text", ["colour = 1", "[certificate]\nvalidity = 1", "certificate = 1", "= broken", "\xff"])
def test_a_file_with_anything_unknown_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "fleetseal.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput):
        read_sources(tmp_path, {}).settings({})


def test_an_unknown_variable_is_refused_and_others_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="FLEETSEAL_VALIDITY"):
        read_sources(tmp_path, {"FLEETSEAL_VALIDITY": "1"})
    assert read_sources(tmp_path, {"FLEETSEAL_DATA": "/x", "HOME": "/y"}).settings({}) == Settings()


def test_the_data_directory_is_chosen_given_or_the_platforms(tmp_path: Path) -> None:
    assert data_directory(tmp_path / "a", {"FLEETSEAL_DATA": "/elsewhere"}) == tmp_path / "a"
    assert data_directory(None, {"FLEETSEAL_DATA": str(tmp_path / "b")}) == tmp_path / "b"
    assert data_directory(None, {}).name == "fleetseal"
