"""Plugins by name: what is listed, what is loaded, and what is said of one that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import pytest

from ablatekit.cli.main import invoke
from ablatekit.errors import PluginError
from ablatekit.plugins import CONTRACTS, Axis, load_backend, load_plugin, plugin_names

Install: TypeAlias = Callable[..., None]

FROM_OUTSIDE = """
from pydantic import BaseModel

class Settings(BaseModel):
    nodes: int = 1

class Plugin:
    name = {name!r}
    settings = {settings}
"""


@pytest.mark.parametrize("axis", get_args(Axis))
def test_every_axis_has_plugins_of_ours_that_load(axis: Axis) -> None:
    ours = plugin_names(axis)
    assert ours == tuple(sorted(ours))
    for name in ours:
        assert load_plugin(axis, name).name == name
    assert ours


def test_a_plugin_is_listed_before_it_is_imported(install: Install) -> None:
    install("ablatekit.executors", "cluster", "raise AssertionError('imported')")
    assert "cluster" in plugin_names("executor")
    assert "plugin_module" not in sys.modules


def test_a_plugin_from_outside_is_loaded(install: Install) -> None:
    install(
        "ablatekit.executors", "cluster", FROM_OUTSIDE.format(name="cluster", settings="Settings")
    )
    assert load_plugin("executor", "cluster").settings().nodes == 1


@pytest.mark.parametrize(
    ("axis", "misspelt", "message"),
    [
        ("backend", "simulatd", "unknown backend; received 'simulatd'. Did you mean 'simulated'?"),
        ("executor", "locl", "unknown executor; received 'locl'. Did you mean 'local'?"),
        ("tracker", "mlfow", "unknown tracker; received 'mlfow'. Did you mean 'mlflow'?"),
        ("reader", "parket", "unknown reader; received 'parket'. Did you mean 'parquet'?"),
        ("design", "ful", "unknown kind of design; received 'ful'. Did you mean 'full'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    axis: Axis, misspelt: str, message: str
) -> None:
    with pytest.raises(PluginError) as raised:
        load_plugin(axis, misspelt)
    assert str(raised.value).startswith(message)


def test_a_name_that_two_distributions_register_is_refused(install: Install) -> None:
    source = FROM_OUTSIDE.format(name="cluster", settings="Settings")
    install("ablatekit.executors", "cluster", source, "first")
    install("ablatekit.executors", "cluster", source, "second")
    with pytest.raises(PluginError, match="registered more than once; received first, second"):
        load_plugin("executor", "cluster")


@pytest.mark.parametrize("source", ["raise RuntimeError('no device')", "exit(3)", "def ("])
def test_a_plugin_that_fails_as_it_is_imported_is_one_message(
    install: Install, source: str
) -> None:
    install("ablatekit.trackers", "board", source)
    with pytest.raises(PluginError, match="tracker 'board' cannot be imported") as raised:
        load_plugin("tracker", "board")
    assert "uninstall it" in str(raised.value)


@pytest.mark.parametrize("source", ["import no_such_package", "Pluggin = None"])
def test_a_plugin_that_cannot_be_imported_says_what_it_lacks(install: Install, source: str) -> None:
    install("ablatekit.trackers", "board", source)
    with pytest.raises(PluginError, match="tracker 'board' cannot be imported") as raised:
        load_plugin("tracker", "board")
    assert "Install what plugin needs in this environment" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "settings"), [("other", "Settings"), ("board", "None"), ("board", "Settings()")]
)
@pytest.mark.parametrize("axis", ["executor", "tracker", "design"])
def test_a_plugin_that_breaks_its_contract_is_told_its_suite(
    install: Install, axis: Literal["executor", "tracker", "design"], name: str, settings: str
) -> None:
    contract = CONTRACTS[axis]
    install(contract.group, "board", FROM_OUTSIDE.format(name=name, settings=settings))
    with pytest.raises(PluginError, match="does not fulfil the contract") as raised:
        load_plugin(axis, "board")
    assert f"Run the tests of ablatekit.testing.{axis}_suite on it" in str(raised.value)


BACKEND = """
class Plugin:
    name = {name!r}
    results_version = 1
    settings = None
    def __init__(self):
        {init}
    def rules(self): ...
    def metrics(self, settings): ...
    def resources(self, settings): ...
    def content(self, settings): ...
    {run}
"""
WHOLE = {"name": "cluster", "init": "pass", "run": "def run(self, run, context): ..."}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"run": ""}, "it has no run"),
        ({"name": "claster"}, "its name is 'claster'"),
        ({"init": "raise ValueError('no key')"}, "it cannot be made: ValueError: no key"),
        ({"init": "1 / 0"}, "it cannot be made: ZeroDivisionError"),
    ],
)
def test_a_backend_is_checked_once_it_is_made(
    install: Install, broken: dict[str, str], says: str
) -> None:
    install("ablatekit.backends", "cluster", BACKEND.format(**{**WHOLE, **broken}))
    with pytest.raises(
        PluginError, match=r"does not fulfil the contract of ablatekit\.backend"
    ) as at:
        load_backend("cluster")
    assert f"plugin_module:Plugin of plugin: {says}" in str(at.value)


def test_a_whole_backend_is_loaded(install: Install) -> None:
    install("ablatekit.backends", "cluster", BACKEND.format(**WHOLE))
    assert load_backend("cluster").name == "cluster"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_package", "Install what plugin needs"),
        ("Pluggin = None", "Install what plugin needs"),
        ("raise RuntimeError('no device')", "Ask the author of plugin"),
        ("Plugin = 3", "of plugin: it is no class"),
        ("class Plugin: pass", "of plugin: its name is None"),
        ("class Plugin: name = 'other'", "of plugin: its name is 'other'"),
    ],
)
@pytest.mark.parametrize("axis", ["executor", "tracker", "reader", "design"])
def test_a_broken_plugin_names_its_distribution(
    install: Install, axis: Axis, source: str, says: str
) -> None:
    install(CONTRACTS[axis].group, "board", source)
    with pytest.raises(PluginError) as raised:
        load_plugin(axis, "board")
    assert says in str(raised.value)


def test_a_broken_backend_is_one_message_of_the_command_line(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("ablatekit.backends", "cluster", "class Plugin: name = 'cluster'")
    assert invoke(["backend", "show", "cluster"]) == 2
    said = capsys.readouterr().err
    assert "plugin_module:Plugin of plugin: it has no" in said
    assert "Traceback" not in said
