"""Files that only claim to be bundles are refused before they cost anything: paths, links, bombs, lists that lie."""

from __future__ import annotations

import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from judge.app.replay import replay
from judge.app.verify import verify
from judge.bundles.archive import Bundle, BundleWriter
from judge.domain.errors import InvalidInput

MIB = 1024 * 1024


def write(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    """Write a bundle with further *entries*."""
    with path.open("wb") as file, BundleWriter(file) as writer:
        writer.finish({})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, mode << 16
    return made


@pytest.mark.parametrize("read", [replay, verify])
@pytest.mark.parametrize(
    "bad",
    [
        *(entry("../x"), entry("a/../../x"), entry("/etc/passwd"), entry("C:/x"), entry("a\\..\\x"), entry("x\x1b[2J")),
        *(entry("folder/"), entry("link", stat.S_IFLNK | 0o777), entry("pipe", stat.S_IFIFO | 0o600)),
    ],
    ids=lambda bad: ascii(bad.filename),
)
def test_a_member_that_is_no_plain_file_is_refused(
    tmp_path: Path, read: Callable[[Path], object], bad: zipfile.ZipInfo
) -> None:
    """The error names the member, whose control characters are escaped."""
    path = write(tmp_path / "b.zip", (bad, b"x"))

    with pytest.raises(InvalidInput, match="only files, under names that stay in its folder") as caught:
        read(path)

    assert "\x1b" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Half a GiB of zeros in half a MiB is refused by what the list of members says."""
    path = write(tmp_path / "b.zip", ("zeros", bytes(512 * MIB)))

    with pytest.raises(InvalidInput, match=r"would unpack to 536,[0-9,]* bytes, more than 200 times its size"):
        Bundle(path)


def test_a_size_that_lies_reads_no_more_than_it_says(tmp_path: Path) -> None:
    """A member that says it has one byte is read as one byte, and is damaged."""
    path = write(tmp_path / "b.zip", ("zeros", bytes(64 * MIB)))
    content = path.read_bytes().replace(struct.pack("<I", 64 * MIB), struct.pack("<I", 1))
    path.write_bytes(content)

    with Bundle(path) as bundle, pytest.raises(InvalidInput, match="zeros: it cannot be read: Bad CRC"):
        bundle.text("zeros")


def test_a_million_members_are_refused_before_their_list_is_read(tmp_path: Path) -> None:
    """The list of a million members would take hundreds of MB. Its size is checked first, and so is one that lies."""
    path = write(tmp_path / "b.zip")
    body = path.read_bytes()[:-22]
    rows = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    listed = rows * 10**6
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), len(body), 0)
    path.write_bytes(body + listed + end)
    tracemalloc.start()

    with pytest.raises(InvalidInput, match="list of members has 47,000,000 bytes; the maximum is 1,048,576"):
        Bundle(path)

    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody writes to it, so that opening it would wait forever."""
    os.mkfifo(tmp_path / "b.zip")

    with pytest.raises(InvalidInput, match="it is not a file"):
        Bundle(tmp_path / "b.zip")


def test_a_size_in_the_manifest_is_compared(tmp_path: Path) -> None:
    """A manifest that gives another size than the member has does not match."""
    path = tmp_path / "b.zip"
    with path.open("wb") as file, BundleWriter(file) as writer:
        with writer.member("m") as add:
            add("text")
        writer._members["m"]["bytes"] = 10**12
        writer.finish({})

    with Bundle(path) as bundle:
        mismatches = [str(mismatch) for mismatch in bundle.mismatches()]

    assert mismatches == ["m: it has 4 bytes, but the manifest says 1000000000000"]
