"""Answers that are hardly HTTP, or no reply, end their own call with plain words, over every backend."""

from __future__ import annotations

import asyncio
import gzip
import json
import re

import pytest

from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.verdict import Reply
from support.example_prompts import prompt
from support.provider_replies import MAKE, body_of


def http(body: bytes, *headers: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    """Return an answer whose length is not stated if one of *headers* states another."""
    stated = any(name.lower().startswith(("content-length", "transfer-encoding")) for name in headers)
    lines = [f"HTTP/{version} {status}", "Connection: close", *headers]
    lines += [] if stated else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answer_to(vendor: str, raw: bytes) -> Reply | CallFailed:
    """Return what a backend of *vendor* makes of the bytes that a server sends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        backend = MAKE[vendor](f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        try:
            return await backend.reply(prompt())
        except CallFailed as failed:
            return failed
        finally:
            await backend.close()


@pytest.fixture(params=MAKE)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("form", ["HTTP/1.0", "BOM", "white space", "201", "chunks", "100 before it"])
async def test_an_odd_form_of_a_reply_is_a_reply(vendor: str, form: str) -> None:
    """It was paid for."""
    body = json.dumps(body_of(vendor, "[[A]]")).encode()
    chunks = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    raw = {
        "HTTP/1.0": http(body, version="1.0"),
        "BOM": http(b"\xef\xbb\xbf" + body),
        "white space": http(b"\n\n " + body + b"\n"),
        "201": http(body, status="201 Created"),
        "chunks": http(chunks, "Transfer-Encoding: chunked"),
        "100 before it": b"HTTP/1.1 100 Continue\r\n\r\n" + http(body),
    }[form]

    answer = await answer_to(vendor, raw)

    assert isinstance(answer, Reply)
    assert answer.raw == "[[A]]"


ODD = {
    "the endpoint's answer is empty": http(b""),
    "the endpoint's answer is empty ": b"HTTP/1.1 204 No Content\r\n\r\n",
    "is a page, not JSON": http(b"<html><body>Welcome</body></html>"),
    "is a stream, which was not asked for": http(b'data: {"choices": []}\n\n'),
    "is not JSON": http(b"{} {}"),
    "a header of the answer is too long": http(b"{}", "X-Long: " + "a" * 1_000_000),
    "the answer is not valid HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "the answer is not valid HTTP ": http(b"{}", "Content-Length: 2", "Content-Length: 1"),
    "the answer is not valid HTTP  ": http(b"zz\r\n{}", "Transfer-Encoding: chunked"),
    "closed in the middle of the answer": http(b"{}", "Content-Length: 99"),
    "closed in the middle of the answer ": http(b"fff\r\n{}", "Transfer-Encoding: chunked"),
    "is cut off": http(gzip.compress(b"{}" * 999)[:20], "Content-Encoding: gzip"),
    "cannot be decompressed": http(b"{}", "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("words", ODD)
async def test_what_is_no_reply_is_told_in_plain_words(vendor: str, words: str) -> None:
    """It is tried again, and no name of a class is shown."""
    answer = await answer_to(vendor, ODD[words])

    assert type(answer) is TransportFailed
    assert words.strip() in answer.message
    assert not re.search(r"[a-z][A-Z]|Error", answer.message)
