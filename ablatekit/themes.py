"""The colours of a report's page, as a study or a command names them."""

from typing import Literal, TypeAlias

Theme: TypeAlias = Literal["auto", "light", "dark"]
"""auto follows the reader's system."""
