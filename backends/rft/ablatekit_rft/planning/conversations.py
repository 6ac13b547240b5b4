"""Questions that are conversations: which templates show them, and whose system turn stands."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.errors import Problem, UsageError
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.tasks.query import LeftOut, Query
from ablatekit_rft.tasks.questions import MOST_LEFT_OUT


def unshown(settings: RftSettings, queries: Sequence[Query]) -> dict[str, LeftOut]:
    """The questions that the template cannot show, by item: only `chat` has several turns."""
    if settings.template == "chat":
        return {}
    return {
        query.item: LeftOut(
            query.where,
            f"a conversation of {len(query.turns)} turns, and template: {settings.template} shows"
            " one",
        )
        for query in queries
        if query.turns
    }


def refuse_conversations(settings: RftSettings, queries: Sequence[Query], rows: int) -> None:
    """Raise UsageError for a data set of conversations that a run cannot show as they are."""
    left_out = list(unshown(settings, queries).values())
    if len(left_out) > MOST_LEFT_OUT * rows:
        rule = "the data set is of conversations, which a template of text cannot show"
        received = f"template: {settings.template}; {len(left_out)} of {rows} rows; {left_out[0]}"
        raise UsageError(Problem(rule, received, "Set template: chat"))
    if settings.template == "chat" and settings.system_prompt:
        for query in queries:
            refuse_two_systems(settings.system_prompt, query)


def refuse_two_systems(system_prompt: str, query: Query) -> None:
    """Raise UsageError where the data set brings a system turn, and the settings another one."""
    own = system_turn(query)
    if own and system_prompt:
        rule = "the data set brings its own system turn, and system_prompt is another one"
        place = f" at {query.where}" if query.where else ""
        received = f"system_prompt: {system_prompt!r}, {own!r}{place}"
        raise UsageError(Problem(rule, received, "Leave out system_prompt, or those turns"))


def system_turn(query: Query) -> str:
    """What the conversation of a question has as its system turn; nothing where it has none."""
    return next((turn.content for turn in query.turns if turn.role == "system"), "")
