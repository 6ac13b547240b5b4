"""Which tests go first when several processes share them, and plugins installed for a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from zipfile import ZipFile

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import pandas as pd

Install: TypeAlias = Callable[..., None]
"""`install(group, name, source)` for the length of a test."""

PACKAGES = Path(__file__).parent / "packages"
"""Distributions of third parties, one of each axis."""

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Before numpy is loaded: threads of small linear algebra wait for one another on shared cores."""

os.environ.setdefault("ABLATEKIT_SECOND_OPINION", "0")
"""Of studies: it imports statsmodels in another process; tests of it ask for it."""

settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")

LONG = ("/tests/pipeline/", "/tests/tracking/", "/tests/dispatch/")
"""Few tests of minutes: at the end, one process would run them while the others wait."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order below; xdist would put files with few tests last."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, otherwise in the order in which they were collected."""
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in LONG))


FOREIGN = Path(__file__).parent / "reference" / "foreign"


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str], Path]:
    """The folder of an archive of real logs below tests/reference/foreign, named without .zip."""

    def unpack(name: str) -> Path:
        folder = tmp_path / name.replace("/", "-")
        with ZipFile(FOREIGN / f"{name}.zip") as packed:
            packed.extractall(folder)
        return folder

    return unpack


@pytest.fixture(scope="session")
def baselines_first() -> Callable[..., pd.DataFrame]:
    """The table of a case of R's values, its first row at the baselines of R, which sorts levels.

    Columns are text as written, or of the types that pandas gives them with `typed`; the index
    counts the rows of the file.
    """

    def read(path: Path, case: Mapping[str, Any], typed: bool = False) -> pd.DataFrame:
        import pandas as pd

        text = pd.read_csv(path, dtype=str, keep_default_na=False)
        fixed = re.sub(r"\([^()]*\|[^()]*\)", "", case.get("formula", ""))
        levels = {name: own[0] for name, own in (case.get("factors") or {}).items()}
        named = [name for name in levels if re.search(rf"\b{name}\b", fixed)]
        first = int((text[named] == [levels[name] for name in named]).all(axis=1).argmax())
        assert all(text[name][first] == levels[name] for name in named)
        order = [first, *(row for row in range(len(text)) if row != first)]
        table = pd.read_csv(path) if typed else text
        return table.iloc[order]

    return read


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one module, whose class `Plugin` is registered in a group."""
    site = tmp_path / "site"

    def write(group: str, name: str, source: str, distribution: str = "plugin") -> None:
        information = site / f"{distribution}-1.0.dist-info"
        information.mkdir(parents=True)
        (site / f"{distribution}_module.py").write_text(source, encoding="utf-8")
        (information / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        entry = f"[{group}]\n{name} = {distribution}_module:Plugin\n"
        (information / "entry_points.txt").write_text(entry)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, f"{distribution}_module", raising=False)

    return write


@pytest.fixture
def install_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path], None]:
    """Installs a distribution for this test and its processes, where it lies."""

    def install(project: Path) -> None:
        site = tmp_path_factory.mktemp("site")
        write_information(project, site)
        for place in (site, project):
            monkeypatch.syspath_prepend(str(place))
            monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)

    return install


@pytest.fixture
def install_package(install_folder: Callable[[Path], None]) -> Callable[[str], Path]:
    """Installs one of `tests/packages` by name; its folder."""

    def install(name: str) -> Path:
        install_folder(PACKAGES / name)
        return PACKAGES / name

    return install


def write_information(project: Path, site: Path) -> None:
    """What an installer writes of a distribution beside its modules: a name and entry points."""
    told = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    information = site / f"{told['name'].replace('-', '_')}-{told['version']}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Name: {told['name']}\nVersion: {told['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in told["entry-points"].items()
    )
    (information / "entry_points.txt").write_text("\n".join(groups))


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The interpreter of an environment made for packages that cannot be installed beside ours.

    It is made once a session, or once for all in $ABLATEKIT_FOREIGN_ENVS if that names a folder.
    """
    kept = os.environ.get("ABLATEKIT_FOREIGN_ENVS")
    root = Path(kept) if kept else tmp_path_factory.mktemp("environments")

    def interpreter(*packages: str) -> Path:
        place = root / "+".join(packages)
        python, whole = place / "bin" / "python", place.with_name(f"{place.name}.installed")
        if not whole.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
            whole.touch()
        return python

    return interpreter
