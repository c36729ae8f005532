"""A call fingerprint covers what changes the reply, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.config.settings import load
from judge.domain.errors import JudgeUnusable
from judge.domain.judge import JudgeDefinition
from judge.store.definitions import from_definition, to_definition
from support.clocks import StillClock

BASE = {
    "backend": '"openai"',
    "model": '"gpt-4o"',
    "base_url": '"http://127.0.0.1:9/v1"',
    "rubric": '"likert-5"',
    "temperature": "0.5",
}
OTHERWISE = {
    "backend": '"vllm"',
    "model": '"gpt-4o-mini"',
    "rubric": '"brackets"',
    "temperature": "0.0",
    "seed": "7",
    "max_output_tokens": "99",
    "base_url": '"http://127.0.0.1:10/v1"',
    "identity": '"the same thing"',
    "api_version": '"2026-10-01"',
    "extra_body": "{ top_k = 5 }",
    "extra_headers": '{ X-Route = "a" }',
}
"""Settings that change the reply, with another value than in BASE."""
ALIKE = {
    "key_env": '"A_KEY"',
    "price": "{ input = 1.0, output = 2.0 }",
    "account": '"far"',
    "concurrency": "3",
    "deadline_seconds": "7.0",
    "max_failed_share": "0.5",
    "batch": "true",
    "tie_band": "0.4",
}
"""Settings that do not change the reply: credential, price and limits, and how the reply is read."""


def definition(folder: Path, name: str = "j", **settings: str) -> JudgeDefinition:
    lines = [f"{field} = {value}" for field, value in {**BASE, **settings}.items()]
    text = "\n".join(["[accounts.far]", "requests_per_minute = 60", f"[judges.{name}]", *lines])
    (folder / "judge.toml").write_text(text, "utf-8")
    return ConfiguredJudges(load(folder / "judge.toml"), StillClock()).cards()[name].definition


@pytest.mark.parametrize("field", OTHERWISE)
def test_the_call_fingerprint_covers_what_changes_the_reply(tmp_path: Path, field: str) -> None:
    """Backend, model, endpoint, rubric with its answer form, sampling, and everything else that is sent are covered."""
    other = definition(tmp_path, **{field: OTHERWISE[field]})

    assert other.fingerprint != definition(tmp_path).fingerprint


@pytest.mark.parametrize("field", ALIKE)
def test_the_call_fingerprint_never_covers_parser_credential_price_or_limits(tmp_path: Path, field: str) -> None:
    """A verdict is reused even if the judge's price or key has changed."""
    other = definition(tmp_path, **{field: ALIKE[field]})

    assert other.fingerprint == definition(tmp_path).fingerprint


def test_the_call_fingerprint_does_not_cover_the_name(tmp_path: Path) -> None:
    """Two judges that differ only in name share their verdicts."""
    assert definition(tmp_path, "another").fingerprint == definition(tmp_path).fingerprint


def test_another_parser_is_another_definition(tmp_path: Path) -> None:
    """The parser is part of the definition, but not of the call fingerprint."""
    wide = definition(tmp_path, tie_band="0.4")

    assert wide.parser != definition(tmp_path).parser


VENDORS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


@pytest.mark.parametrize("backend", VENDORS)
def test_the_vendors_own_endpoint_hashes_as_nothing(tmp_path: Path, backend: str) -> None:
    """However it is spelled. So verdicts from before endpoints were kept are reused."""
    own, url = {"backend": f'"{backend}"', "rubric": '"brackets"'}, VENDORS[backend]
    if backend == "anthropic":
        own["temperature"] = "0.0\ncapabilities = { temperature = true }"
    unset = definition(tmp_path, **own, base_url='""')

    assert unset.endpoint == ""
    assert replace(unset, endpoint=None).fingerprint == unset.fingerprint
    for spelled in (url, f"{url}/", url.upper().replace("/V1", "/v1").replace(".COM", ".com:443")):
        assert definition(tmp_path, **own, base_url=f'"{spelled}"').fingerprint == unset.fingerprint
    named = definition(tmp_path, **own, base_url='"https://proxy.example"', identity=f'"{url}"')
    assert named.fingerprint == unset.fingerprint


def test_an_identity_stands_in_for_the_endpoint(tmp_path: Path) -> None:
    """Two endpoints that serve the same thing share their verdicts if the configuration says so."""
    base = definition(tmp_path, base_url='"http://127.0.0.1:10/v1"', identity='"m at both"')
    two = definition(tmp_path, base_url='"http://127.0.0.1:11/v1"', identity='"m at both"')

    assert (base.endpoint, base.fingerprint) == ("m at both", two.fingerprint)


def test_an_address_has_one_plainest_form(tmp_path: Path) -> None:
    """Case of the host, default ports and a slash at the end make no other endpoint."""
    base = definition(tmp_path, base_url='"https://far.example/v1"')

    assert definition(tmp_path, base_url='"HTTPS://FAR.example:443/v1/"').fingerprint == base.fingerprint
    assert definition(tmp_path, base_url='"https://far.example/V1"').fingerprint != base.fingerprint


def test_of_a_secret_only_the_name_is_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further field or header may hold a secret. Another value of the variable is the same judge."""
    settings = {"extra_headers": '{ X-Token = "env:A_TOKEN" }'}
    monkeypatch.setenv("A_TOKEN", "one")
    base = definition(tmp_path, **settings)
    monkeypatch.setenv("A_TOKEN", "two")

    assert definition(tmp_path, **settings) == base
    assert "A_TOKEN" in base.request[0]
    assert definition(tmp_path, extra_headers='{ X-Token = "env:ANOTHER" }').fingerprint != base.fingerprint


def test_a_schema_that_is_not_sent_makes_another_judge(tmp_path: Path) -> None:
    """The response format is part of what is sent, where the rubric asks for one."""
    off = "{ json_schema = false }"

    base = definition(tmp_path, rubric='"reasoned"')
    assert definition(tmp_path, rubric='"reasoned"', capabilities=off).fingerprint != base.fingerprint
    assert definition(tmp_path, capabilities=off).fingerprint == definition(tmp_path).fingerprint


def test_a_worker_with_another_endpoint_waits(tmp_path: Path) -> None:
    """It refuses the judge of a run, unless the run began before endpoints were kept."""
    frozen = definition(tmp_path)
    definition(tmp_path, base_url='"http://127.0.0.1:10/v1"')
    elsewhere = ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock())

    with pytest.raises(JudgeUnusable, match=r"must be asked at http://127\.0\.0\.1:9/v1") as caught:
        elsewhere.at_work(frozen)
    assert caught.value.reason == "NO_ENDPOINT"
    assert elsewhere.at_work(replace(frozen, endpoint=None)).definition.endpoint is None
    definition(tmp_path, extra_body="{ top_k = 5 }")
    with pytest.raises(JudgeUnusable, match="must be sent less"):
        ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock()).at_work(frozen)


def test_a_definition_of_an_older_store_keeps_its_fingerprint(tmp_path: Path) -> None:
    """A run that began before endpoints were kept goes on under the fingerprint that its store has."""
    body = from_definition(definition(tmp_path, base_url='""'))
    older = {name: value for name, value in body.items() if name not in ("endpoint", "request")}

    assert (to_definition(older).endpoint, to_definition(older).request) == (None, ())
    assert to_definition(older).fingerprint == definition(tmp_path, base_url='""').fingerprint
    assert to_definition(body) == definition(tmp_path, base_url='""')
