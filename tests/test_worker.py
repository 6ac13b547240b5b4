from __future__ import annotations

import pytest

from ablatekit.worker import loaded_versions


def test_a_module_of_a_distribution_with_another_name_is_recorded_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Backend:
        requires = ("yaml>=6", "pandas>=2", "no-such-module; extra == 'gpu'")

    monkeypatch.setattr("ablatekit.worker._distribution", lambda _name: Backend)
    import pandas as pd
    import yaml

    assert loaded_versions("any") == {
        "yaml": f"{yaml.__version__} (PyYAML)",
        "pandas": pd.__version__,
    }
