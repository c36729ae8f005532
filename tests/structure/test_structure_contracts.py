"""Every import contract of pyproject.toml is broken on purpose in a copy of the packages, and has to report it.

A contract that cannot fail protects nothing: a `:` where a `|` was meant, or a package that nobody listed, looks just
like a rule that holds. What to break is read from the contracts themselves, so that a changed layout needs no change
here.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "judge", ROOT / "clients" / "python" / "judge_client"]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
GENERATED = "judge.api"
CLIENT = "judge_client"
STORE = "judge.store"
APP = "judge.app"

LAZY = "\n\ndef _lazy() -> None:\n    import {}\n"
TYPE_CHECKING = "\n\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {}\n"


@dataclass(frozen=True)
class Report:
    """What import-linter says: the names of the broken contracts, and the whole text without line breaks."""

    broken: set[str]
    text: str


class Copy:
    """A copy of the packages in which imports can be added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in PACKAGES:
            shutil.copytree(package, folder / package.name, ignore=lambda _, names: set(filter(_is_no_source, names)))
        shutil.copy(ROOT / "pyproject.toml", folder)

    def add_import(self, importer: str, imported: str, statement: str = "\nimport {}\n") -> None:
        """Make a module or a package import another one."""
        path = self.folder.joinpath(*importer.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        source.write_text(source.read_text("utf-8") + statement.format(imported), "utf-8")

    def add_package(self, name: str) -> None:
        """Add a package that holds nothing."""
        path = self.folder.joinpath(*name.split("."))
        path.mkdir()
        (path / "__init__.py").touch()

    def lint(self) -> Report:
        """Check the contracts in a process of its own, where nothing is imported from the real packages."""
        command = [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache"]
        environment = {**os.environ, "COLUMNS": "1000", "PYTHONPATH": ""}
        result = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        statuses = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", result.stdout, re.MULTILINE))
        assert statuses.keys() == {contract["name"] for contract in CONTRACTS}, result.stdout + result.stderr
        broken = {name for name, status in statuses.items() if status == "BROKEN"}
        assert bool(broken) == bool(result.returncode)
        return Report(broken=broken, text=" ".join(result.stdout.split()))


def _is_no_source(name: str) -> bool:
    return name == "__pycache__" or ("." in name and not name.endswith(".py"))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("judge", CLIENT, cache_dir=None)


def of_type(kind: str) -> list[dict[str, Any]]:
    """Return the contracts of one type. There has to be one."""
    contracts = [contract for contract in CONTRACTS if contract["type"] == kind]
    assert contracts, f"pyproject.toml has no import contract of the type {kind}"
    return contracts


def layers_of(contract: dict[str, Any], graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the packages of each layer, from the highest to the lowest, without optional ones that do not exist."""
    [container] = contract["containers"]
    rows = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    packages = [[f"{container}.{name}" for name in row] for row in rows]
    return [[package for package in row if package in graph.modules] for row in packages]


def protected() -> dict[str, list[str]]:
    """Map each protected package to its allowed importers."""
    contracts = [contract for contract in CONTRACTS if contract["type"] == "protected"]
    return {module: contract["allowed_importers"] for contract in contracts for module in contract["protected_modules"]}


def reaches(graph: grimp.ImportGraph, importer: str, imported: str) -> bool:
    """Whether a package imports another one, directly or through others."""
    return graph.find_shortest_chain(importer, imported, as_packages=True) is not None


def test_each_contract_is_kept_before_it_is_broken(copy: Copy) -> None:
    """The copy of the packages keeps every contract, so what the other tests see broken is what they broke."""
    report = copy.lint()

    assert report.broken == set(), report.text


def test_each_contract_has_a_type_that_is_tested_here() -> None:
    """A contract of a type that no test below breaks, or a forbidden contract on other modules, needs a new test."""
    untested = [
        contract["name"]
        for contract in CONTRACTS
        if contract["type"] not in {"layers", "acyclic_siblings", "protected"}
        and not (contract["type"] == "forbidden" and contract["source_modules"] == [CLIENT])
    ]

    assert untested == []


def test_one_import_upwards_breaks_the_layers_alone(copy: Copy, graph: grimp.ImportGraph) -> None:
    """A package that imports a higher layer breaks the layers contract and no other."""
    [contract] = of_type("layers")
    packages = [package for row in layers_of(contract, graph) for package in row]
    high, low = next(
        (high, low)
        for high, low in itertools.combinations(packages, 2)
        if high not in protected() and not reaches(graph, high, low) and not reaches(graph, CLIENT, low)
    )
    copy.add_import(low, high)

    report = copy.lint()

    assert report.broken == {contract["name"]}
    assert f"{low} is not allowed to import {high}:" in report.text


def test_each_layer_is_below_the_one_above_it(copy: Copy, graph: grimp.ImportGraph) -> None:
    """An import from each package to each package of the next higher layer is reported."""
    [contract] = of_type("layers")
    rows = layers_of(contract, graph)
    pairs = [(high, low) for above, below in itertools.pairwise(rows) for high in above for low in below]
    for high, low in pairs:
        copy.add_import(low, high)

    report = copy.lint()

    assert contract["name"] in report.broken
    assert [pair for pair in pairs if f"{pair[1]} is not allowed to import {pair[0]}:" not in report.text] == []


def test_packages_of_one_layer_are_independent(copy: Copy, graph: grimp.ImportGraph) -> None:
    """An import between any two packages of one layer breaks the layers contract and no other."""
    [contract] = of_type("layers")
    rows = layers_of(contract, graph)
    ordered = [sorted(row, key=lambda package: package in protected(), reverse=True) for row in rows]
    pairs = [pair for row in ordered for pair in itertools.combinations(row, 2)]
    assert pairs
    for importer, imported in pairs:
        copy.add_import(importer, imported)

    report = copy.lint()

    assert report.broken == {contract["name"]}
    assert [pair for pair in pairs if f"{pair[0]} is not allowed to import {pair[1]}:" not in report.text] == []


def test_a_package_without_a_layer_breaks_the_layers(copy: Copy) -> None:
    """A new package has to be given a layer: the contract is exhaustive."""
    [contract] = of_type("layers")
    copy.add_package("judge.unlisted")

    report = copy.lint()

    assert report.broken == {contract["name"]}
    assert "judge.unlisted" in report.text


@pytest.mark.parametrize("statement", [LAZY, TYPE_CHECKING], ids=["lazy", "type_checking"])
def test_a_circle_in_any_package_is_reported(copy: Copy, graph: grimp.ImportGraph, statement: str) -> None:
    """A circle of imports in each package breaks the contract on siblings, even if one import of it is lazy."""
    contracts = of_type("acyclic_siblings")
    circles = {package: pair for package in sorted(graph.modules) if (pair := sibling_import(graph, package))}
    circles.pop("judge", None)
    for importer, imported in circles.values():
        copy.add_import(imported, importer, statement)

    report = copy.lint()

    assert report.broken == {contract["name"] for contract in contracts}
    assert [package for package in circles if f"No cycles are allowed in {package}." not in report.text] == []


def sibling_import(graph: grimp.ImportGraph, package: str) -> tuple[str, str] | None:
    """Return two modules of different children of a package, the first of which imports the second."""
    families = {child: {child, *graph.find_descendants(child)} for child in sorted(graph.find_children(package))}
    for family in families.values():
        for importer in sorted(family):
            inside = [
                imported
                for imported in sorted(graph.find_modules_directly_imported_by(importer))
                if imported.startswith(f"{package}.") and imported not in family
            ]
            if inside:
                return importer, inside[0]
    return None


def test_the_client_imports_nothing_but_the_api(copy: Copy, graph: grimp.ImportGraph) -> None:
    """An import of any package of the service but the generated API breaks the client's contract and no other."""
    [contract] = of_type("forbidden")
    packages = sorted(graph.find_children("judge") - {GENERATED, *protected()})
    for package in packages:
        copy.add_import(CLIENT, package)

    report = copy.lint()

    assert report.broken == {contract["name"]}
    assert [name for name in packages if f"{CLIENT} is not allowed to import {name}:" not in report.text] == []


@pytest.mark.parametrize("package", sorted(protected()))
def test_the_client_imports_no_protected_package(copy: Copy, package: str) -> None:
    """A protected package is forbidden to the client twice."""
    contracts = of_type("forbidden") + [
        contract for contract in of_type("protected") if package in contract["protected_modules"]
    ]
    copy.add_import(CLIENT, package)

    report = copy.lint()

    assert report.broken == {contract["name"] for contract in contracts}


def test_only_app_may_import_the_store() -> None:
    """The store is protected, and app alone is let in."""
    assert protected()[STORE] == [APP]


def test_a_protected_package_is_imported_by_those_that_may(copy: Copy, graph: grimp.ImportGraph) -> None:
    """Any other package above a protected one that imports it, or a module of it, breaks its contract and no other."""
    [layers] = of_type("layers")
    rows = layers_of(layers, graph)
    pairs = [
        (importer, imported)
        for package, allowed in protected().items()
        for row in rows[: next(number for number, row in enumerate(rows) if package in row)]
        for importer in row
        for imported in [package, *sorted(graph.find_children(package))[:1]]
        if importer not in allowed
    ]
    for importer, imported in pairs:
        copy.add_import(importer, imported)

    report = copy.lint()

    assert report.broken == {contract["name"] for contract in of_type("protected")}
    assert [pair for pair in pairs if f"- {pair[0]} -> {pair[1]} (l." not in report.text] == []
