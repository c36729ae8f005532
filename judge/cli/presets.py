"""Presets: the rule of a published figure as values of options, which an option given beside it overrides.

The rules are those of the projects' own code:

- AlpacaEval: `metrics/winrate.py` and `metrics/helpers.py` of github.com/tatsu-lab/alpaca_eval.
- Arena-Hard: `show_result.py` of github.com/lmarena/arena-hard-auto, before April 2025 (v0.1) and after it (v2.0).
- MT-bench: `show_result.py` of FastChat's `llm_judge`, and Table 5 of Zheng and others (2023), arXiv:2306.05685.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.core import ParameterSource

C = TypeVar("C", bound="Callable[..., Any]")
ALPACA_EVAL, ARENA_HARD, ARENA_HARD_2, MT_BENCH = "alpaca-eval", "arena-hard", "arena-hard-v2", "mt-bench"
PER_VERDICT = ("reconcile", "decisive_weight", "length_controlled")
"""Options of verdicts and labels, which do not apply to a file of battles."""


@dataclass(frozen=True)
class Preset:
    """What a preset stands for, in words, and the values of options by the name of their parameter."""

    meaning: str
    options: Mapping[str, Any]


RANKINGS: Mapping[str, Preset] = {
    ALPACA_EVAL: Preset(
        meaning="AlpacaEval's win rate, the mean preference over the baseline, with its standard error, and the "
        "length-controlled win rate. That is estimated without AlpacaEval's lasso and gamed baselines, so it differs "
        "somewhat from the published figure",
        options={
            "method": "win-rate",
            "reference_contestant": "gpt4_1106_preview",
            "reconcile": "soft",
            "inference": "unclustered",
            "length_controlled": True,
        },
    ),
    ARENA_HARD: Preset(
        meaning="the score of Arena-Hard v0.1: each game is a battle against the baseline, and a decisive one counts "
        "three times. A Bradley-Terry fit of such battles gives the same win rates. Arena-Hard's own intervals are "
        "quantiles of 100 resamples in which a decisive game is three independent battles, so they are narrower",
        options={
            "method": "win-rate",
            "reference_contestant": "gpt-4-0314",
            "reconcile": "each",
            "decisive_weight": 3.0,
            "inference": "unclustered",
            "level": 0.95,
        },
    ),
    ARENA_HARD_2: Preset(
        meaning="the score of Arena-Hard v2.0: as in v0.1, but a comparison counts only if both games have a score, "
        "and the level is 90%. Arena-Hard prints the mean of 100 resamples, so its last digit varies",
        options={
            "method": "win-rate",
            "reference_contestant": "o3-mini-2025-01-31",
            "reconcile": "both",
            "decisive_weight": 3.0,
            "inference": "unclustered",
            "level": 0.9,
        },
    ),
    MT_BENCH: Preset(
        meaning="FastChat's win rate against the baseline (pairwise-baseline): both orders must name the same winner, "
        "or the comparison is a tie; the adjusted win rate counts ties as half",
        options={"method": "win-rate", "reference_contestant": "gpt-3.5-turbo", "reconcile": "tie"},
    ),
}
AGREEMENTS: Mapping[str, Preset] = {
    MT_BENCH: Preset(
        meaning="Table 5 of MT-bench's paper: each vote, or each pair of votes, counts once, by turn; a comparison "
        "whose two orders disagree is a tie; with ties is setup S1, without ties is setup S2",
        options={"weighting": "votes", "reconcile": "tie", "cuts": ("turn",)},
    ),
}


def preset_option(presets: Mapping[str, Preset]) -> Callable[[C], C]:
    """Make the option `--as`, whose preset becomes the default of the options that it names."""

    def choose(context: click.Context, _: click.Parameter, name: str | None) -> str | None:
        if name is not None:
            context.default_map = {**(context.default_map or {}), **presets[name].options}
        return name

    return click.option(
        "--as",
        "preset",
        type=click.Choice(list(presets)),
        is_eager=True,
        callback=choose,
        help="Set the options by which a project publishes its figures, and say which. An option given beside it wins.",
    )


def is_from_preset(context: click.Context, parameter: str) -> bool:
    """Whether a parameter has the value of the preset: it was not given."""
    return context.get_parameter_source(parameter) is ParameterSource.DEFAULT_MAP


def print_preset(context: click.Context, name: str, preset: Preset, unused: tuple[str, ...] = ()) -> None:
    """Say on stderr what a preset stands for: the options that it set, and those that were given instead.

    *unused* are the parameters that do not apply to what is ranked.
    """
    spelled = {each.name: each.opts[0] for each in context.command.params}
    texts = {key: _spelled(spelled[key], value) for key, value in preset.options.items()}
    used = {key: text for key, text in texts.items() if key not in unused}
    kept = [text for key, text in used.items() if is_from_preset(context, key)]
    replaced = [text for key, text in used.items() if not is_from_preset(context, key)]
    click.echo(f"--as {name}: {preset.meaning}.", err=True)
    click.echo(f"It sets {', '.join(kept) or 'nothing'}.", err=True)
    if replaced:
        click.echo(f"Given instead of {', '.join(replaced)}: {_given(context, preset, unused)}.", err=True)
    if left_out := [texts[key] for key in preset.options if key in unused]:
        click.echo(f"Not used for a file of battles, whose rows are votes already: {', '.join(left_out)}.", err=True)


def _given(context: click.Context, preset: Preset, unused: tuple[str, ...]) -> str:
    """The values that were given in place of those of the preset, by the option that each belongs to."""
    parameters = {each.name: each for each in context.command.params}
    given = []
    for key in preset.options:
        if key not in unused and not is_from_preset(context, key):
            kind, value = parameters[key].type, context.params[key]
            word = kind.normalize_choice(value, context) if isinstance(kind, click.Choice) and value else value
            option = parameters[key].secondary_opts[0] if value is False else parameters[key].opts[0]
            given.append(_spelled(option, word))
    return ", ".join(given)


def _spelled(option: str, value: object) -> str:
    """An option with its value, as it is given on the command line."""
    return option if isinstance(value, bool) else f"{option} {_text(value)}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
