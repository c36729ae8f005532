"""Measure the structure of a Python package and compare it with the project's goals.

Run `python tests/structure/measure.py`. It prints a table and exits with status 1 when a goal named in `ENFORCED` is
missed. Only the syntax tree is read, so nothing of the package is imported and every import statement counts: those at
the top of a module, those inside functions and those under `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import math
import sys
import textwrap
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

PACKAGE = Path(__file__).resolve().parents[2] / "judge"
GENERATED = ("api", "store/migrations")
SERVICERS = "rpc"
VAGUE_NAMES = frozenset({"told", "said", "found", "one", "many"})
MANY_ARGUMENTS = 4
WIDTH = 80
TOP_FILES = 10
LISTED = 40

MAX_FILE = "lines of the longest file"
P90_FUNCTION = "lines a function, 90th percentile"
MODULE_CYCLES = "import cycles among modules"
PACKAGE_CYCLES = "import cycles among packages"
NO_DOCSTRING = "public symbols without a docstring"
PROTOCOL = "methods of the largest Protocol"
SAME_NAME = "class names defined more than once"
POSITIONAL = f"constructions with {MANY_ARGUMENTS} or more positional arguments"

GOALS = {
    MAX_FILE: 400,
    P90_FUNCTION: 25,
    MODULE_CYCLES: 0,
    PACKAGE_CYCLES: 0,
    NO_DOCSTRING: 0,
    PROTOCOL: 15,
    SAME_NAME: 0,
    POSITIONAL: 0,
}

# A missed goal of this set fails the check. A goal that is missing here is printed only; `test_structure_measures.py`
# keeps it from getting worse.
ENFORCED = frozenset(GOALS) - {POSITIONAL, MAX_FILE}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed source file. Its path starts at the package, and an `__init__.py` is named for its package."""

    name: str
    path: Path
    tree: ast.Module
    lines: int


@dataclass(frozen=True)
class Measure:
    """A measured number, with what to print below the table when the goal is missed."""

    name: str
    value: float
    details: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether the number is within its goal. A number without a goal always is."""
        return self.value <= GOALS.get(self.name, math.inf)


def read_package(package: Path, excluded: Collection[str] = GENERATED) -> list[Module]:
    """Parse every module below a package's folder, apart from the excluded subfolders."""
    skipped = [package / folder for folder in excluded]
    paths = [path for path in package.rglob("*.py") if not any(path.is_relative_to(folder) for folder in skipped)]
    return [_read_module(path, package.parent) for path in sorted(paths)]


def _read_module(path: Path, root: Path) -> Module:
    shown = path.relative_to(root)
    parts = shown.with_suffix("").parts
    source = path.read_text("utf-8")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name=name, path=shown, tree=ast.parse(source), lines=len(source.splitlines()))


def imports(module: Module) -> Iterator[tuple[str, str]]:
    """Yield a local name and a full dotted name for each import of a module, wherever the import stands."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield alias.asname or alias.name, alias.name
            case ast.ImportFrom(module=source, names=names, level=level):
                base = _import_base(module, source, level)
                for alias in names:
                    yield alias.asname or alias.name, f"{base}.{alias.name}"
            case ast.Call(
                func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(target)), *_]
            ):
                if name in {"import_module", "__import__"}:
                    yield "", target


def _import_base(module: Module, source: str | None, level: int) -> str:
    folders = module.path.parts[:-level] if level else ()
    return ".".join([*folders, source] if source else folders)


def import_graph(modules: Iterable[Module]) -> dict[str, set[str]]:
    """Map each module to the modules of the package that it imports directly."""
    known = {module.name: module for module in modules}
    return {
        name: {_longest_prefix(target, known) for _, target in imports(module)} - {"", name}
        for name, module in known.items()
    }


def _longest_prefix(target: str, known: Collection[str]) -> str:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target


def cycles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return each group of nodes that all reach each other, as sorted lists."""
    reached = {node: _reached(graph, node) for node in graph}
    groups = {frozenset(other for other in reached[node] if node in reached[other]) for node in graph}
    return sorted(sorted(group) for group in groups if group)


def _reached(graph: Mapping[str, Collection[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(graph[node])
    return reached


def package_cycles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Return the cycles among the children of a package, a sub-package with all that it imports being one child.

    Cycles that are among modules already are left out.
    """
    parents = {".".join(name.split(".")[:depth]) for name in graph for depth in range(1, name.count(".") + 1)}
    groups = [group for parent in sorted(parents) for group in cycles(_children_graph(graph, parent))]
    among_modules = cycles(graph)
    return [group for group in groups if group not in among_modules]


def _children_graph(graph: Mapping[str, Collection[str]], parent: str) -> dict[str, set[str]]:
    children: dict[str, set[str]] = defaultdict(set)
    for name, targets in graph.items():
        if child := _child(parent, name):
            children[child] |= {_child(parent, target) for target in targets} - {"", child}
    return children


def _child(parent: str, name: str) -> str:
    """Return the child of `parent` that `name` is or lies in, or an empty string when it does not lie below."""
    if not name.startswith(f"{parent}."):
        return ""
    return f"{parent}.{name[len(parent) + 1 :].partition('.')[0]}"


def function_lengths(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the lines and the place of each function, nested ones too. Overloads and Protocol methods do not count."""
    for node in ast.walk(module.tree):
        if isinstance(node, FUNCTION) and not _is_stub(node):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{_place(module, node)} {node.name}"


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body)


def _place(module: Module, node: ast.stmt | ast.expr) -> str:
    return f"{module.path.as_posix()}:{node.lineno}"


def undocumented(module: Module) -> Iterator[str]:
    """Yield the public module, classes, functions and methods that have no docstring.

    Overloads and property setters share the docstring of another function. The proto documents the methods of the
    servicers, so these need none either.
    """
    if not ast.get_docstring(module.tree):
        yield module.path.as_posix()
    for owners, node in _public_definitions(module.tree, ()):
        from_proto = bool(owners) and module.name.split(".")[1:2] == [SERVICERS] and _is_servicer(owners[-1])
        if not ast.get_docstring(node) and not _shares_docstring(node) and not from_proto:
            yield f"{_place(module, node)} {'.'.join([*(owner.name for owner in owners), node.name])}"


def _public_definitions(
    node: ast.AST, owners: tuple[ast.ClassDef, ...]
) -> Iterator[tuple[tuple[ast.ClassDef, ...], Definition]]:
    """Yield each public definition with the classes around it, without entering functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Definition):
            yield from _public_definitions(child, owners)
        elif not child.name.startswith("_"):
            yield owners, child
            if isinstance(child, ast.ClassDef):
                yield from _public_definitions(child, (*owners, child))


def _is_servicer(node: ast.ClassDef) -> bool:
    return any(_last_name(base).endswith("Servicer") for base in node.bases)


def _shares_docstring(node: Definition) -> bool:
    return any(_last_name(decorator) in {"overload", "setter", "deleter"} for decorator in node.decorator_list)


def _last_name(node: ast.expr) -> str:
    return _dotted(node).rpartition(".")[2]


def _dotted(node: ast.expr) -> str:
    """Return `a.b.C` for that expression and for `a.b.C[...]`, and an empty string for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{owner}.{attr}" if (owner := _dotted(value)) else ""
        case ast.Subscript(value=value):
            return _dotted(value)
    return ""


class Classes:
    """The classes of a package, by full dotted name, with what each module calls them."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = {module.name: module for module in modules}
        self.nodes = {f"{module.name}.{node.name}": (module, node) for module, node in self._definitions()}
        self._imported = {name: dict(imports(module)) for name, module in self.modules.items()}

    def _definitions(self) -> Iterator[tuple[Module, ast.ClassDef]]:
        for module in self.modules.values():
            yield from ((module, node) for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))

    def resolve(self, module: str, expression: str, hops: int = 5) -> str:
        """Return the full name of the class that a module calls `expression`, or an empty string."""
        if f"{module}.{expression}" in self.nodes:
            return f"{module}.{expression}"
        first, _, rest = expression.partition(".")
        target = self._imported.get(module, {}).get(first, "")
        full = ".".join(filter(None, [target or expression, rest if target else ""]))
        if full in self.nodes or not hops:
            return full if full in self.nodes else ""
        owner = _longest_prefix(full, self.modules)
        return self.resolve(owner, full[len(owner) + 1 :], hops - 1) if owner and owner != full else ""

    def repeated(self) -> dict[str, list[str]]:
        """Return the public class names that are defined more than once, with the places."""
        places: dict[str, list[str]] = defaultdict(list)
        for module, node in self._definitions():
            if not node.name.startswith("_"):
                places[node.name].append(_place(module, node))
        return {name: found_at for name, found_at in sorted(places.items()) if len(found_at) > 1}

    def protocols(self) -> dict[str, tuple[set[str], set[str]]]:
        """Return the methods of each Protocol: those it defines, and all of them with the inherited ones."""
        named = {name for name, (_, node) in self.nodes.items() if "Protocol" in map(_last_name, node.bases)}
        return {name: (self._own_methods(name), self._all_methods(name)) for name in named}

    def _own_methods(self, name: str) -> set[str]:
        return {node.name for node in self.nodes[name][1].body if isinstance(node, FUNCTION)}

    def _all_methods(self, name: str) -> set[str]:
        module, node = self.nodes[name]
        bases = filter(None, (self.resolve(module.name, _dotted(base)) for base in node.bases))
        return self._own_methods(name).union(*(self._all_methods(base) for base in bases))

    def positional_constructions(self) -> Iterator[str]:
        """Yield the places that construct a class of the package with many positional arguments."""
        for module in self.modules.values():
            for owner, call in _calls(module.tree, ""):
                name = owner if _dotted(call.func) == "cls" else _dotted(call.func)
                if len(call.args) >= MANY_ARGUMENTS and self.resolve(module.name, name):
                    yield f"{_place(module, call)} {name}"


def _calls(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call with the name of the class around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield owner, child
        yield from _calls(child, child.name if isinstance(child, ast.ClassDef) else owner)


def vague_names(module: Module) -> Iterator[str]:
    """Yield the names assigned inside functions that say nothing about their value."""
    functions = [node for node in ast.walk(module.tree) if isinstance(node, FUNCTION)]
    names = {node for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    for name in names:
        if name.id in VAGUE_NAMES and isinstance(name.ctx, ast.Store):
            yield name.id


def measures(modules: list[Module]) -> list[Measure]:
    """Measure the modules of one package, in the order of the table."""
    return [*_sizes(modules), *_import_cycles(modules), *_definitions(modules)]


def _sizes(modules: list[Module]) -> Iterator[Measure]:
    files = sorted(((module.lines, module.path.as_posix()) for module in modules), reverse=True)
    functions = sorted((length for module in modules for length in function_lengths(module)), reverse=True)
    yield Measure("files", len(files))
    yield Measure("lines a file, median", median(lines for lines, _ in files))
    yield Measure("lines a file, 90th percentile", percentile(90, [lines for lines, _ in files]))
    yield Measure(MAX_FILE, files[0][0], [f"{lines} {path}" for lines, path in files if lines > GOALS[MAX_FILE]])
    yield Measure("functions", len(functions))
    lengths = [lines for lines, _ in functions] or [0]
    yield Measure("lines a function, median", median(lengths))
    yield Measure(P90_FUNCTION, percentile(90, lengths), [f"{lines} {place}" for lines, place in functions[:TOP_FILES]])
    yield Measure("lines of the longest function", lengths[0])


def percentile(percent: int, values: list[int]) -> int:
    """Return the smallest of the values that at least so many percent of them do not exceed."""
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def _import_cycles(modules: list[Module]) -> Iterator[Measure]:
    graph = import_graph(modules)
    for name, groups in [(MODULE_CYCLES, cycles(graph)), (PACKAGE_CYCLES, package_cycles(graph))]:
        yield Measure(name, len(groups), [" ".join(group) for group in groups])


def _definitions(modules: list[Module]) -> Iterator[Measure]:
    classes = Classes(modules)
    bare = [line for module in modules for line in undocumented(module)]
    yield Measure(NO_DOCSTRING, len(bare), bare)
    yield from _protocols(classes)
    repeated = classes.repeated()
    yield Measure(SAME_NAME, len(repeated), [f"{name}: {' '.join(places)}" for name, places in repeated.items()])
    constructions = list(classes.positional_constructions())
    files = Counter(line.partition(":")[0] for line in constructions)
    yield Measure(POSITIONAL, len(constructions), [f"{count} {path}" for path, count in files.most_common(TOP_FILES)])
    vague = Counter(name for module in modules for name in vague_names(module))
    yield Measure(f"assignments to {', '.join(sorted(VAGUE_NAMES))}", vague.total())


def _protocols(classes: Classes) -> Iterator[Measure]:
    sizes = [(len(own), len(composed), name) for name, (own, composed) in classes.protocols().items()]
    large = [f"{own} {name}" for own, _, name in sorted(sizes, reverse=True) if own > GOALS[PROTOCOL]]
    yield Measure(PROTOCOL, max((own for own, _, _ in sizes), default=0), large)
    yield Measure("... of the largest one with what it inherits", max((size for _, size, _ in sizes), default=0))


def report(results: Iterable[Measure]) -> Iterator[str]:
    """Yield the lines of the table and, below it, what the missed goals are missed by."""
    results = list(results)
    yield f"{'':<58}{'value':>7}{'goal':>6}"
    for measure in results:
        goal = f"{GOALS[measure.name]:>6}" if measure.name in GOALS else ""
        mark = "" if measure.met else "  MISSED" if measure.name in ENFORCED else "  missed"
        yield f"{measure.name:<58}{measure.value:>7,g}{goal}{mark}".rstrip()
    for measure in results:
        if not measure.met:
            yield from ["", f"{measure.name}:", *_listed(measure.details)]


def _listed(details: list[str]) -> Iterator[str]:
    for line in details[:LISTED]:
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    if len(details) > LISTED:
        yield f"  and {len(details) - LISTED} more"


def main(package: Path = PACKAGE) -> int:
    """Print the table of a package. Return 1 when it misses a goal that is enforced, and 0 otherwise."""
    results = measures(read_package(package))
    sys.stdout.writelines(f"{line}\n" for line in report(results))
    return int(any(not measure.met and measure.name in ENFORCED for measure in results))


if __name__ == "__main__":
    sys.exit(main())
