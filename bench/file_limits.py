"""Files that are huge, broken or malicious: each import ends with a clear error or all rows, in bounded memory.

Each import is a process of its own on one store, whose dataset has a prompt before. What is refused adds nothing to it.
The files need up to 6 GB, and are deleted after their import.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, progress

GIB = 1024**3
FREE_BYTES = 8 * GIB
MOST_MIB = 256
ROW = b'{"prompt_id": "%d", "text": "' + b"a long text of a conversation " * 300 + b'"}\n'


def figures() -> Iterator[Figure]:
    """Import each file and measure the memory beyond that of an import of one row. Raises RuntimeError without room."""
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as name:
        home = Path(name)
        if shutil.disk_usage(home).free < FREE_BYTES:
            raise RuntimeError(f"{home} has less than {FREE_BYTES / GIB:.0f} GiB free")
        (home / "one.jsonl").write_text('{"prompt_id": "one", "text": "q"}\n', "utf-8")
        _import(home, home / "one.jsonl")
        # The first import also made the store.
        idle = _import(home, home / "one.jsonl")
        for label, make, is_refused in _CASES:
            progress(f"  {label}")
            (folder := home / "case").mkdir()
            before = _prompts(home)
            path = _made(make, folder)
            done = _import(home, path)
            added = _prompts(home) - before
            shutil.rmtree(folder)
            grown = done.mib - idle.mib
            fits = done.code == 1 and added == 0 if is_refused else done.code == 0 and added > 0
            yield Figure(
                bench="files",
                figure=f"import of {label}",
                value=grown,
                unit="MiB beyond an import of one row",
                peer=f"exit code {done.code}, {added:,} rows added: {done.message}",
                goal=f"< {MOST_MIB} MiB, {'refused and nothing added' if is_refused else 'all added'}",
                met=fits and grown < MOST_MIB and not done.crashed,
            )


@dataclass(frozen=True)
class _Done:
    code: int
    mib: float
    message: str
    """The end of what it printed to stderr."""
    crashed: bool


def _made(make: Callable[[Path], Path], folder: Path) -> Path:
    """Make the file in a process of its own: the peak memory of a child begins with that of its parent."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(make, folder).result()


def _import(home: Path, path: Path) -> _Done:
    with (home / "err").open("w+b") as err:
        argv = [sys.executable, "-m", "judge.cli", "import", str(path), "--dataset", "d"]
        child = subprocess.Popen(argv, env={**os.environ, "JUDGE_HOME": str(home)}, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        message = err.read().decode().replace(str(home), "").strip()
    crashed = "Traceback" in message
    return _Done(code=child.returncode, mib=usage.ru_maxrss / 1024, message=message[-300:], crashed=crashed)


def _prompts(home: Path) -> int:
    import sqlite3  # noqa: PLC0415  # only here

    with sqlite3.connect(home / "judge.db") as connection:
        return int(connection.execute("SELECT count(*) FROM prompt").fetchone()[0])


def _large_file(folder: Path) -> Path:
    with (folder / "prompts.jsonl").open("wb") as file:
        for number in range(GIB // len(ROW)):
            file.write(ROW % number)
    return folder / "prompts.jsonl"


def _long_line(folder: Path) -> Path:
    with (folder / "prompts.jsonl").open("wb") as file:
        file.write(b'{"prompt_id": "long", "text": "')
        for _ in range(2048):
            file.write(b"x" * 2**20)
        file.write(b'"}\n')
    return folder / "prompts.jsonl"


def _gzip_bomb(folder: Path) -> Path:
    with gzip.open(folder / "prompts.jsonl.gz", "wb", compresslevel=1) as file:
        _bomb(file)
    return folder / "prompts.jsonl.gz"


def _zstd_bomb(folder: Path) -> Path:
    from backports import zstd  # noqa: PLC0415  # of an extra

    with zstd.open(folder / "prompts.jsonl.zst", "wb") as file:
        _bomb(file)
    return folder / "prompts.jsonl.zst"


def _bomb(file: object) -> None:
    file.write(b'{"prompt_id": "bomb", "text": "')  # type: ignore[attr-defined]  # any binary file
    for _ in range(4096):
        file.write(b"\0" * 2**20)  # type: ignore[attr-defined]  # as above


def _blank_bomb(folder: Path) -> Path:
    with gzip.open(folder / "prompts.jsonl.gz", "wb", compresslevel=1) as file:
        for _ in range(4096):
            file.write(b" " * 2**20)
    return folder / "prompts.jsonl.gz"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "prompts.jsonl")
    return folder / "prompts.jsonl"


def _link_out(folder: Path) -> Path:
    (folder / "in").mkdir()
    (folder / "outside.jsonl").write_text('{"prompt_id": "outside", "text": "q"}\n', "utf-8")
    (folder / "in" / "prompts.jsonl").symlink_to(folder / "outside.jsonl")
    return folder / "in"


def _path_in_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "log.zip", "w") as archive:
        archive.writestr("../../escaped.json", '{"prompt_id": 1}')
    return folder / "log.zip"


def _many_entries(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "log.zip", "w") as archive:
        for number in range(1_000_000):
            archive.writestr(zipfile.ZipInfo(f"{number}.json"), b"{}")
    return folder / "log.zip"


def _nested_archives(folder: Path) -> Path:
    content = json.dumps({"a": "0" * 2**20}).encode()
    for _ in range(50):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner.zip", content)
        content = buffer.getvalue()
    (folder / "nested.zip").write_bytes(content)
    return folder / "nested.zip"


def _packed_twice(folder: Path) -> Path:
    (folder / "prompts.jsonl.gz.gz").write_bytes(gzip.compress(gzip.compress(b'{"prompt_id": 1, "text": "q"}\n')))
    return folder / "prompts.jsonl.gz.gz"


_CASES: tuple[tuple[str, Callable[[Path], Path], bool], ...] = (
    ("a FIFO", _fifo, True),
    ("a link out of the folder", _link_out, True),
    ("a zip archive with ../ in a path", _path_in_zip, True),
    ("fifty archives in each other", _nested_archives, True),
    ("a file that is packed twice", _packed_twice, True),
    ("a zip archive of a million entries", _many_entries, True),
    ("a gzip bomb of 4 GiB", _gzip_bomb, True),
    ("a gzip bomb of 4 GiB of blanks", _blank_bomb, True),
    ("a zstd bomb of 4 GiB", _zstd_bomb, True),
    ("a line of 2 GiB", _long_line, True),
    ("JSON lines of 1 GiB", _large_file, False),
)
"""What is imported, how it is made, and whether it is refused."""
