"""Judges as the configuration describes them: what they take, what is sent, and what is wrong before any call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from judge.app.judges import OWN_LIMITS, ConfiguredJudges
from judge.config.settings import ConfigError, load
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
    """What a model refuses is known by its name, told as a capability, and not sent."""
    found = cards(
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

    thinks, plain, claude = (found[name] for name in ("thinks", "plain", "claude"))
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
    """A capability that is said is believed."""
    found = cards(
        tmp_path,
        '[judges.j]\nbackend = "openai"\nmodel = "o3"\ntemperature = 1.0\ncapabilities = { temperature = true }\n',
    )

    assert found["j"].definition.sampling.temperature == 1.0


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('model = "o3"\ntemperature = 0.5', "judges.j.temperature"),
        ('model = "o3"\nseed = 1', "judges.j.seed"),
        ('model = "gpt-4o"\neffort = "low"', "judges.j.effort"),
        ('model = "m"\nrubric = "nowhere"', "judges.j.rubric: there is no rubric 'nowhere'; there are brackets"),
        ('model = "m"\nrubric = "brackets"\ntie_band = 1', "judges.j.tie_band"),
        ('model = "m"\naccount = "a"', "no \\[accounts.a\\]"),
        ("", "needs a model"),
        (f'model = "m"\nkey = "{SECRET}"', "judges.j.key"),
        (f'model = "m"\napi_key = "{SECRET}"', "judges.j.api_key"),
        (f'model = "m"\nkey_evn = "{SECRET}"', "judges.j.key_evn"),
        ('model = "m"\nkey_env = "K"\nbase_url = "http://far.example/v1"', "http://"),
    ],
)
def test_a_wrong_setting_is_named_and_no_value_is_told(tmp_path: Path, lines: str, told: str) -> None:
    """With the judge and the field, before anything is asked; a secret in the wrong place is not repeated."""
    with pytest.raises(ConfigError, match=told) as caught:
        cards(tmp_path, f'[judges.j]\nbackend = "openai"\n{lines}\n')

    assert SECRET not in str(caught.value)


def test_a_price_is_the_judges_or_its_models(tmp_path: Path) -> None:
    """In micro-USD a million tokens; a batch costs half, and writing to Anthropic's cache a quarter more."""
    found = cards(
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

    own, table = found["own"].price, found["table"].price
    assert own is not None
    assert table is not None
    assert (own.input_micros, own.cached_input_micros, own.output_micros) == (1_000_000, 250_000, 4_000_000)
    assert (own.batch_percent, table.batch_percent) == (40, 50)
    assert (table.input_micros, table.cache_write_micros) == (2_000_000, 2_500_000)
    assert found["none"].price is None


def test_rubrics_beside_the_file_are_found_and_wrong_ones_named(tmp_path: Path) -> None:
    """A TOML file is a rubric of its name; one that is wrong, or takes a built-in name, stops the start."""
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
    with pytest.raises(ConfigError, match="'choice' already"):
        cards(tmp_path, judge)


def test_judges_of_one_account_share_its_limits(tmp_path: Path) -> None:
    """By the account that is named, or else by endpoint and key."""
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
    """They are asked of the server, believed for a while, and part of the fingerprint; a revision can be added."""
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
        one, same = await judges.identified(bare), await judges.identified(bare)
        asked = len(provider.requests)
        clock.time += 60
        await judges.identified(bare)
        reply = await judges.at_work(one).backend.reply(prompt())
        await judges.close()

    assert (one.weights, asked, len([path for _, path, _ in provider.requests if path == "/v1/models"])) == (
        "m@r1",
        1,
        3,
    )
    assert one == same
    assert one.fingerprint != bare.fingerprint
    assert reply.raw == "So: [[A]]"


def test_a_baseline_judge_takes_a_shard_at_once_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    """It asks nobody, so that few at once would spare nobody anything; what is said of it is done all the same."""
    (tmp_path / "judge.toml").write_text(
        '[judges.mine]\nbackend = "longest"\n[judges.few]\nbackend = "longest"\nconcurrency = 3\n', "utf-8"
    )
    judges = ConfiguredJudges(load(tmp_path / "judge.toml"), StillClock())
    cards = judges.cards()
    removed = replace(cards["few"].definition, name="removed")

    at_work = [
        judges.at_work(one) for one in (*(cards[name].definition for name in ("longest", "mine", "few")), removed)
    ]

    assert [one.card.limits.concurrency for one in at_work] == [512, 512, 3, 512]
    assert [cards[name].limits.concurrency for name in ("longest", "mine", "few")] == [512, 512, 3]
    assert SHARD <= OWN_LIMITS.concurrency == 512
    assert all(one.rule is not None for one in at_work)
