import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    f"judge.{package}.{path.stem}"
    for package in ("columns", "stats")
    for path in (ROOT / "judge" / package).glob("*.py")
    if path.stem != "__init__"
)


def test_importing_statistics_does_not_import_scipy() -> None:
    """Importing the statistics does not import SciPy, which is slow."""
    imports = "; ".join(f"import {name}" for name in MODULES)
    check = f"import sys; {imports}; print(sorted(name for name in sys.modules if name.split('.')[0] == 'scipy'))"

    seen = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)

    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    """The examples in docstrings give the results that they show."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    tree = ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]

    assert [node.name for node in functions if ">>>" not in (ast.get_docstring(node) or "")] == []
