"""Judges in the configuration: what they support, what is sent, and which errors are reported before any call."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from judge.app.judges import OWN_LIMITS, ConfiguredJudges
from judge.config.files import ConfigError
from judge.config.settings import load
from judge.domain.judge import JudgeCard
from judge.execution.run_executor import SHARD
from support.clocks import StillClock
from support.example_prompts import prompt, right_answer
from support.provider import KEY, Provider
from support.provider_server import serving_provider

SECRET = "sk-secret-0123456789"  # pragma: allowlist secret


def cards(folder: Path, text: str) -> dict[str, JudgeCard]:
    (folder / "judge.toml").write_text(text, "utf-8")
    return ConfiguredJudges(load(folder / "judge.toml"), StillClock()).cards()


def test_a_reasoning_model_is_sent_no_temperature_and_says_so(tmp_path: Path) -> None:
    """The name of a model tells what it refuses. The capabilities say so, and it is not sent."""
    by_name = cards(
        tmp_path,
        """
        [judges.thinks]
        backend = "openai"
        model = "o3-mini"
        effort = "low"
        [judges.plain]
        backend = "openai"
        model = "gpt-4o"
        rubric = "choice"
        [judges.claude]
        backend = "anthropic"
        model = "claude"
        """,
    )

    thinks, plain, claude = (by_name[name] for name in ("thinks", "plain", "claude"))
    assert (thinks.capabilities.temperature, thinks.capabilities.logprobs, thinks.capabilities.reasoning) == (
        False,
        False,
        True,
    )
    assert (thinks.definition.sampling.temperature, thinks.definition.sampling.effort) == (None, "low")
    assert (plain.definition.sampling.temperature, plain.definition.sampling.max_output_tokens) == (0.0, 16)
    assert plain.capabilities.logprobs
    assert (claude.capabilities.temperature, claude.definition.sampling.temperature) == (False, None)


def test_the_config_knows_better_than_the_table(tmp_path: Path) -> None:
    """A capability in the configuration overrides the backend's table."""
    by_name = cards(
        tmp_path,
        '[judges.j]\nbackend = "openai"\nmodel = "o3"\ntemperature = 1.0\ncapabilities = { temperature = true }\n',
    )

    assert by_name["j"].definition.sampling.temperature == 1.0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('model = "o3"\ntemperature = 0.5', "[judges.j] temperature = 0.5: model 'o3' of backend openai"),
        ('model = "o3"\nseed = 1', "[judges.j] seed = 1: model 'o3' of backend openai does not support it"),
        ('model = "gpt-4o"\neffort = "low"', "[judges.j] effort: model 'gpt-4o' of backend openai does not support it"),
        ('model = "m"\nrubric = "choise"', "[judges.j] rubric = 'choise' does not exist. Did you mean \"choice\"?"),
        ('model = "m"\nrubric = "nowhere"', "[judges.j] rubric = 'nowhere' does not exist. Choose one of: brackets, "),
        ('model = "m"\nrubric = "brackets"\ntie_band = 1', "[judges.j] tie_band: "),
        ('model = "m"\naccount = "a"', '[judges.j] account = "a": there is no [accounts.a]. Add that section.'),
        ("", '[judges.j] backend = "openai" needs a model: add model = "NAME"'),
        (f'model = "m"\nkey = "{SECRET}"', "[judges.j] key is not a known setting. "),
        (f'model = "m"\napi_key = "{SECRET}"', "[judges.j] api_key is not a known setting. "),
        (f'model = "m"\nkey_evn = "{SECRET}"', '[judges.j] key_evn is not a known setting. Did you mean "key_env"?'),
        (f'model = "m"\nseed = "{SECRET}"', "[judges.j] seed must be a whole number"),
        ('model = "m"\nconcurrency = 0', "[judges.j] concurrency = 0: must be greater than or equal to 1"),
        ('model = "m"\nbatch = 3.5', "[judges.j] batch = 3.5: must be true or false"),
        ('model = "m"\nprice = { input = 1.0 }', "[judges.j.price] needs the setting output"),
        ('model = "m"\nkey_env = "K"\nbase_url = "http://far.example/v1"', "http://"),
        ('model = "m"\n[judges.k]\nbackend = "opnai"', '"opnai" is not a known value. Did you mean "openai"?'),
        ('model = "m"\n[judge.k]\nbackend = "openai"', "judge is not a known setting or section. Did you"),
    ],
)
def test_an_error_names_the_file_the_section_and_the_setting(tmp_path: Path, lines: str, message: str) -> None:
    """It suggests the closest name and does not repeat a secret that is in the wrong place."""
    with pytest.raises(ConfigError, match=f"^{re.escape(str(tmp_path))}/judge.toml: .*{re.escape(message)}") as caught:
        cards(tmp_path, f'[judges.j]\nbackend = "openai"\n{lines}\n')

    assert SECRET not in str(caught.value)


def test_a_wrong_variable_of_the_environment_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the group of variables."""
    monkeypatch.setenv("JUDGE_OPENAI_MODEL", "m")
    monkeypatch.setenv("JUDGE_OPENAI_BASE_URL", "http://far.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    with pytest.raises(ConfigError, match=r"^environment variables JUDGE_OPENAI_\*: base_url: a key is not sent"):
        cards(tmp_path, "")


def test_a_price_is_the_judges_or_its_models(tmp_path: Path) -> None:
    """It is in micro-USD per million tokens. A batch costs half, and writing to Anthropic's cache a quarter more."""
    by_name = cards(
        tmp_path,
        """
        [prices."m"]
        input = 2.0
        output = 8.0
        [judges.own]
        backend = "openai"
        model = "m"
        price = { input = 1.0, output = 4.0, cached_input = 0.25, batch = 0.4 }
        [judges.table]
        backend = "anthropic"
        model = "m"
        [judges.none]
        backend = "openai"
        model = "other"
        """,
    )

    own, table = by_name["own"].price, by_name["table"].price
    assert own is not None
    assert table is not None
    assert (own.input_micros, own.cached_input_micros, own.output_micros) == (1_000_000, 250_000, 4_000_000)
    assert (own.batch_percent, table.batch_percent) == (40, 50)
    assert (table.input_micros, table.cache_write_micros) == (2_000_000, 2_500_000)
    assert by_name["none"].price is None


def test_rubrics_next_to_the_file_are_loaded_and_wrong_ones_are_named(tmp_path: Path) -> None:
    """Each TOML file is a rubric of that name. A wrong file or a built-in name is a configuration error."""
    folder = tmp_path / "rubrics"
    folder.mkdir()
    (folder / "kind.toml").write_text('form = "choice"\ncriteria = ["Kind."]\n', "utf-8")
    judge = '[judges.j]\nbackend = "openai"\nmodel = "m"\nrubric = "kind"\n'

    assert cards(tmp_path, judge)["j"].definition.rubric.name == "kind"

    (folder / "kind.toml").write_text('form = "choice"\ncriteria = "Kind."\n', "utf-8")
    with pytest.raises(ConfigError, match=r"kind\.toml: criteria"):
        cards(tmp_path, judge)
    (folder / "kind.toml").rename(folder / "choice.toml")
    (folder / "choice.toml").write_text('form = "choice"\ncriteria = ["Kind."]\n', "utf-8")
    with pytest.raises(ConfigError, match="'choice' already belongs to another rubric"):
        cards(tmp_path, judge)


def test_judges_of_one_account_share_its_limits(tmp_path: Path) -> None:
    """Judges share the account that they name, or else the one of their endpoint and key."""
    (tmp_path / "judge.toml").write_text(
        """
        [accounts.a]
        requests_per_minute = 60
        [judges.one]
        backend = "openai"
        model = "m"
        account = "a"
        [judges.two]
        backend = "openai"
        model = "n"
        account = "a"
        [judges.three]
        backend = "openai"
        model = "m"
        [judges.four]
        backend = "openai"
        model = "n"
        [judges.five]
        backend = "openai"
        model = "n"
        base_url = "https://elsewhere.example/v1"
        """,
        "utf-8",
    )
    judges = ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock())

    accounts = {name: judges.at_work(card.definition).account for name, card in judges.cards().items() if "e" in name}
    accounts |= {name: judges.at_work(judges.cards()[name].definition).account for name in ("two", "four")}

    assert accounts["one"] is accounts["two"]
    assert accounts["three"] is accounts["four"]
    assert accounts["five"] is not accounts["four"] is not accounts["one"]
    assert judges.cards()["one"].limits.requests_per_minute == 60


async def test_the_weights_behind_a_served_name_make_another_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked for them once in a while. They and the configured revision are part of the fingerprint."""
    monkeypatch.setenv("FAR_KEY", KEY)
    provider = Provider(right_answer)
    clock = StillClock()
    async with serving_provider(provider) as url:
        (tmp_path / "judge.toml").write_text(
            f'[judges.near]\nbackend = "vllm"\nmodel = "m"\nbase_url = "{url}"\nkey_env = "FAR_KEY"\nrevision = "r1"\n',
            "utf-8",
        )
        judges = ConfiguredJudges(load(tmp_path / "judge.toml"), clock)
        bare = judges.cards()["near"].definition
        served, served_again = await judges.identified(bare), await judges.identified(bare)
        asked = len(provider.requests)
        clock.time += 60
        await judges.identified(bare)
        reply = await judges.at_work(served).backend.reply(prompt())
        await judges.close()

    checks = [path for _, path, _ in provider.requests if path == "/v1/models"]
    assert (served.weights, asked, len(checks)) == ("m@r1", 1, 3)
    assert served == served_again
    assert served.fingerprint != bare.fingerprint
    assert reply.raw == "So: [[A]]"


def test_a_baseline_judge_takes_a_shard_at_once_unless_concurrency_is_set(tmp_path: Path) -> None:
    """It calls no provider that a lower concurrency could protect."""
    (tmp_path / "judge.toml").write_text(
        '[judges.mine]\nbackend = "longest"\n[judges.few]\nbackend = "longest"\nconcurrency = 3\n', "utf-8"
    )
    judges = ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock())
    cards = judges.cards()
    removed = replace(cards["few"].definition, name="removed")

    at_work = [
        judges.at_work(definition)
        for definition in (*(cards[name].definition for name in ("longest", "mine", "few")), removed)
    ]

    assert [judge.card.limits.concurrency for judge in at_work] == [512, 512, 3, 512]
    assert [cards[name].limits.concurrency for name in ("longest", "mine", "few")] == [512, 512, 3]
    assert SHARD <= OWN_LIMITS.concurrency == 512
    assert all(judge.rule is not None for judge in at_work)


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        (f'key_env = "{SECRET}"', "key_env"),
        ('key_env = "AbCdEf0123456789AbCdEf0123456789"', "key_env"),  # pragma: allowlist secret
        ('key_env = "gsk_0123456789abcdefghijklmnop"', "key_env"),  # pragma: allowlist secret
        (f'key_file = "{SECRET}"', "key_file"),
        ('key_file = "gsk_0123456789abcdefghijklmnop"', "key_file"),  # pragma: allowlist secret
        (f'key_file = "{"k" * 5000}1"', "key_file"),
        (f'extra_headers = {{ X-Token = "env:{SECRET}" }}', "extra_headers"),
        (f'extra_body = {{ user = {{ token = "env:{SECRET}" }} }}', "extra_body"),
        (f'proxy = "env:{SECRET}"', "proxy"),
    ],
)
def test_a_key_where_its_name_belongs_is_refused_and_not_shown(tmp_path: Path, line: str, setting: str) -> None:
    """The error names the setting, and says where a key belongs."""
    (tmp_path / "judge.toml").write_text(f'[judges.j]\nbackend = "openai"\nmodel = "m"\n{line}\n', "utf-8")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "judge.toml")

    message = str(caught.value)
    assert "[judges.j]" in message
    assert setting in message
    assert "so it is not shown" in message
    key = line.partition("env:")[2] or line.partition('"')[2]
    assert key[:16] not in message


@pytest.mark.parametrize("line", ['key_env = "my_key"', 'key_env = "OPENAI_API_KEY_2"', 'key_file = "keys/openai.key"'])
def test_a_name_of_a_key_is_no_key(tmp_path: Path, line: str) -> None:
    """Names of variables and files are taken, whether they exist or not."""
    (tmp_path / "judge.toml").write_text(f'[judges.j]\nbackend = "openai"\nmodel = "m"\n{line}\n', "utf-8")

    assert load(tmp_path / "judge.toml").judges["j"].names_key


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False), (0o640, False)])
def test_a_key_that_everybody_can_read_is_warned_about(tmp_path: Path, mode: int, *, warned: bool) -> None:
    """The warning names the file, what to do, and not the key. The judge works all the same."""
    (tmp_path / "key").write_text(SECRET, "utf-8")
    (tmp_path / "key").chmod(mode)
    text = f'[judges.j]\nbackend = "openai"\nmodel = "m"\nkey_file = "{tmp_path / "key"}"\n'
    (tmp_path / "judge.toml").write_text(text, "utf-8")

    with structlog.testing.capture_logs() as events:
        judges = ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock())

    assert judges.cards()["j"].unavailable_reason == ""
    assert [event["event"] for event in events] == ["key_file.exposed"] * warned
    assert SECRET not in str(events)
    assert all("chmod 600" in event["warning"] for event in events)
