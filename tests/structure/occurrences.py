"""Find the identifiers and the texts of the repository: Python, proto, pages and settings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = ("judge/**/*.py", "clients/**/*.py", "bench/**/*.py", "tests/**/*.py")
PROTO = ("proto/**/*.proto",)
PAGES = (
    "*.md",
    "docs/**/*.md",
    "judge/**/*.md",
    "clients/**/*.md",
    "deploy/*",
    "Makefile",
    "pyproject.toml",
    "*.yaml",
    ".ci/*",
)
GENERATED = "judge/api/"

_parsed = lru_cache(maxsize=1)(ast.parse)

IDENTIFIER = re.compile(r"-{0,2}[A-Za-z_][\w.-]*")
COMPOUND = re.compile(
    r"\b(?:[A-Za-z0-9]+_\w+|_\w+|[A-Z]?[a-z0-9]+[A-Z]\w*|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)\b|--[a-z][\w-]+"
)
PROTO_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
PROTO_TYPE = re.compile(r"\b(?:message|enum|service|rpc)\s+(\w+)")
PROTO_FIELD = re.compile(r"\boneof\s+(\w+)|\b(\w+)\s*=\s*\d+\s*[;\[]")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Kind(Enum):
    """What an identifier is in the place where it stands."""

    USE = "a use of a name"
    STRING = "a string or a word of a page that looks like an identifier"
    OWN = "a variable, an argument, an attribute or a field that is defined here"
    DEFINITION = "a module, a class or a function that is defined here"


@dataclass(frozen=True)
class Identifier:
    """A name in its place."""

    path: str
    line: int
    name: str
    kind: Kind

    @property
    def words(self) -> str:
        """The words of the name between underscores: `_left_share_` for `leftShare`, `LEFT_SHARE` and `left-share`."""
        return f"_{'_'.join(WORD.findall(self.name))}_".lower()


@dataclass(frozen=True)
class Text:
    """A docstring, a string, some lines of comments, or a page. It starts on `line`."""

    path: str
    line: int
    text: str


def files(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Return the files of the repository that match, without generated code."""
    paths = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in paths if not path.relative_to(root).as_posix().startswith(GENERATED))


def read_repository(root: Path) -> tuple[list[Identifier], list[Text]]:
    """Read every identifier and every text below a folder."""
    identifiers: list[Identifier] = []
    texts: list[Text] = []
    for patterns, read_names, read_texts in (
        (PYTHON, python_identifiers, python_texts),
        (PROTO, proto_identifiers, proto_texts),
        (PAGES, page_identifiers, page_texts),
    ):
        for file in files(root, patterns):
            path, source = file.relative_to(root).as_posix(), file.read_text("utf-8")
            identifiers.extend(read_names(path, source))
            texts.extend(read_texts(path, source))
    return identifiers, texts


def python_identifiers(path: str, source: str) -> Iterator[Identifier]:
    """Yield the file's name and every identifier of its syntax tree, strings that look like one among them."""
    stem = path.rpartition("/")[2].removesuffix(".py")
    yield Identifier(path=path, line=1, name=stem, kind=Kind.DEFINITION)
    for node in ast.walk(_parsed(source)):
        if named := _name(node):
            name, kind = named
            yield Identifier(path=path, line=getattr(node, "lineno", 1), name=name, kind=kind)


def _name(node: ast.AST) -> tuple[str, Kind] | None:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name, Kind.DEFINITION
        case ast.Name(id=name, ctx=context) | ast.Attribute(attr=name, ctx=context):
            return name, Kind.OWN if isinstance(context, ast.Store) else Kind.USE
        case (
            ast.arg(arg=str(name))
            | ast.alias(asname=str(name))
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            return name, Kind.OWN
        case ast.keyword(arg=str(name)) | ast.alias(name=name):
            return name, Kind.USE
        case ast.Constant(value=str(name)) if IDENTIFIER.fullmatch(name):
            return name, Kind.STRING
    return None


def python_texts(path: str, source: str) -> Iterator[Text]:
    """Yield the strings, an f-string as one text with `{}` for its values, and each block of comment lines."""
    parts: set[ast.AST] = set()
    for node in ast.walk(_parsed(source)):
        match node:
            case ast.JoinedStr(values=values, lineno=line):
                parts.update(values)
                yield Text(path, line, "".join(_constant(value) for value in values))
            case ast.Constant(value=str(text), lineno=line) if node not in parts and not IDENTIFIER.fullmatch(text):
                yield Text(path, line, text)
    yield from _comments(path, source)


def _constant(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def _comments(path: str, source: str) -> Iterator[Text]:
    lines: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1 and lines:
                yield Text(path, first, "\n".join(lines))
                lines = []
            first = first if lines else token.start[0]
            last = token.start[0]
            lines.append(token.string.lstrip("# "))
    if lines:
        yield Text(path, first, "\n".join(lines))


def proto_identifiers(path: str, source: str) -> Iterator[Identifier]:
    """Yield the names of messages, enums, services and methods, of fields and of an enum's values."""
    code = PROTO_COMMENT.sub(_blank, source)
    for expression, kind in ((PROTO_TYPE, Kind.DEFINITION), (PROTO_FIELD, Kind.OWN)):
        for match in expression.finditer(code):
            name = next(filter(None, match.groups()))
            yield Identifier(path=path, line=_line(code, match.start()), name=name, kind=kind)


def proto_texts(path: str, source: str) -> Iterator[Text]:
    """Yield the comments as one text in which the code is blank, so that lines stay where they are."""
    kept = [" "] * len(source)
    for match in PROTO_COMMENT.finditer(source):
        kept[match.start() : match.end()] = match.group().replace("/", " ").replace("*", " ")
    text = "".join(character if source[at] != "\n" else "\n" for at, character in enumerate(kept))
    yield Text(path, 1, text)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def page_identifiers(path: str, source: str) -> Iterator[Identifier]:
    """Yield the words of a page that look like identifiers: snake case, camel case and options of a command."""
    for match in COMPOUND.finditer(source):
        yield Identifier(path=path, line=_line(source, match.start()), name=match.group(), kind=Kind.STRING)


def page_texts(path: str, source: str) -> Iterator[Text]:
    """Yield the whole page."""
    yield Text(path, 1, source)
