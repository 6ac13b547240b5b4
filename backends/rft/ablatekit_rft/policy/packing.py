"""Rollouts of one query packed behind one copy of its prompt.

A packed row is `prompt | completion 1 | completion 2 | ...`: each completion attends to the prompt
and to itself, so a prompt is computed once for all its rollouts, and no completion is padded.
The last token of a completion predicts nothing and is not fed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablatekit_rft.policy.rollout import Rollouts

Ints = NDArray[np.int64]
PROMPT, PADDING = 0, -1


@dataclass(frozen=True, slots=True)
class Packed:
    """R packed rows of width S that hold K rollouts with M generated tokens.

    tokens, positions (R, S) int64. visible (R, S, S) bool, or None where causal attention is the
    same. source (M,): flat index in (R * S) of the position that predicts each generated token.
    row, column, target (M,): the rollout (0..K-1), place and id of each generated token.
    """

    tokens: Tensor
    positions: Tensor
    visible: Tensor | None
    source: Tensor
    row: Tensor
    column: Tensor
    target: Tensor


@dataclass(frozen=True, slots=True)
class _Rows:
    """Sizes of the rows to pack, in numpy: cheaper than tensor operations at this size."""

    query: Ints
    lengths: Ints
    prompt_lengths: Ints

    @property
    def widths(self) -> Ints:
        """(Q,) width of each query's packed row."""
        # A completion's last token is read by no later one, so it takes no position.
        fed = np.bincount(self.query, self.lengths - 1, minlength=len(self.prompt_lengths))
        return self.prompt_lengths + fed.astype(np.int64)


def micro_batches(rollouts: Rollouts, budget: int) -> Iterator[Tensor]:
    """Row indices of rollouts, a query's rows together, at most `budget` packed positions each.

    Queries are sorted by packed width, so that little is padded; a query wider than the budget
    makes a batch of its own.
    """
    query = rollouts.query.cpu().numpy()
    rows = _Rows(query, rollouts.lengths.cpu().numpy(), rollouts.prompts.lengths.cpu().numpy())
    widths = rows.widths
    present = np.unique(query)
    ordered = present[np.argsort(widths[present], kind="stable")]
    batch: list[int] = []
    for member in ordered:
        # In rising order the newest member is the widest: all rows are padded to its width.
        if batch and (len(batch) + 1) * widths[member] > budget:
            yield _members(query, batch)
            batch = []
        batch.append(int(member))
    if batch:
        yield _members(query, batch)


def _members(query: Ints, batch: list[int]) -> Tensor:
    return torch.from_numpy(np.flatnonzero(np.isin(query, batch)))


def pack(rollouts: Rollouts, pad_id: int) -> Packed:
    """Pack rollouts (all rows of `rollouts`) behind their prompts."""
    lengths = rollouts.lengths.cpu().numpy()
    # Prompts without a rollout here get no row; `query` counts the rows that there are.
    present, query = np.unique(rollouts.query.cpu().numpy(), return_inverse=True)
    prompt_lengths = rollouts.prompts.lengths.cpu().numpy()[present]
    rows = _Rows(query, lengths, prompt_lengths)
    width = int(rows.widths.max())
    start = _completion_starts(rows)

    prompt = rollouts.prompts.tokens.cpu().numpy()[present]
    completion = rollouts.tokens.cpu().numpy()
    row, column = _ragged(lengths)
    fed = column < lengths[row] - 1
    # Flat indices into (R, S): one assignment then fills tokens of all rows, however ragged.
    place = (query[row] * width + start[row] + column)[fed]
    in_query, at = _ragged(prompt_lengths)
    prompt_place = in_query * width + at

    shape = (len(present), width)
    tokens = np.full(shape, pad_id, np.int64)
    positions = np.zeros(shape, np.int64)
    segment = np.full(shape, PADDING, np.int64)
    # Prompts are padded on the left, packed rows on the right.
    offset = prompt.shape[1] - prompt_lengths
    tokens.flat[prompt_place] = prompt[in_query, offset[in_query] + at]
    positions.flat[prompt_place] = at
    segment.flat[prompt_place] = PROMPT
    tokens.flat[place] = completion[row[fed], column[fed]]
    # Every completion continues its prompt: positions count as if the others were not there.
    positions.flat[place] = (prompt_lengths[query[row]] + column)[fed]
    segment.flat[place] = 1 + row[fed]

    # What predicts a completion's first token is the prompt's end, which all completions share;
    # the others are predicted by the token before them.
    before = np.where(column == 0, prompt_lengths[query[row]], start[row] + column) - 1
    # With one completion per prompt, causal attention alone hides what must not be seen.
    shared = len(query) > len(present)
    device = rollouts.tokens.device
    return Packed(
        tokens=torch.from_numpy(tokens).to(device),
        positions=torch.from_numpy(positions).to(device),
        visible=_visible(torch.from_numpy(segment).to(device)) if shared else None,
        source=torch.from_numpy(query[row] * width + before).to(device),
        row=torch.from_numpy(row).to(device),
        column=torch.from_numpy(column).to(device),
        target=torch.from_numpy(completion[row, column]).to(device),
    )


def _completion_starts(rows: _Rows) -> Ints:
    """(K,) column of each completion's first fed token in its packed row."""
    order = np.argsort(rows.query, kind="stable")
    fed = (rows.lengths - 1)[order]
    # Tokens before a completion, counted over all rows, less those before its row's first one.
    before = np.cumsum(fed) - fed
    first = np.searchsorted(rows.query[order], rows.query[order])
    start = np.empty_like(fed)
    start[order] = before - before[first]
    return np.asarray(start + rows.prompt_lengths[rows.query])


def _ragged(lengths: Ints) -> tuple[Ints, Ints]:
    """Row and column of every entry of a ragged array with these row lengths."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, column


def _visible(segment: Tensor) -> Tensor:
    """(R, S, S): column b is visible from a if it is not later, and prompt or the same segment."""
    key, query = segment.unsqueeze(1), segment.unsqueeze(2)
    width = segment.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=segment.device).tril()
    # Padding is a segment of its own and sees itself: a row that sees nothing would be NaN.
    return ((key == query) | (key == PROMPT)) & causal
