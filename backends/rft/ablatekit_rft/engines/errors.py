"""What can go wrong with an engine."""

from __future__ import annotations

from ablatekit.errors import AblatekitError


class EngineError(AblatekitError):
    """An engine that cannot start, or that does not hold the policy: the run fails."""

    exit_code = 1
