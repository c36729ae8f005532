"""What `judge serve` needs to listen on an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.app.listening import listen_options
from judge.app.serve import serve
from judge.config.settings import load
from judge.domain.errors import InvalidInput
from support.authority import Authority

NETWORK = ["0.0.0.0:1", "127.0.0.1.example.org:1", "[::]:1"]  # refused
LOCAL = ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/tmp/socket"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "judge.toml"
    path.write_text(f'store_url = "sqlite:///{tmp_path}/judge.db"\n', "utf-8")
    return path


@pytest.fixture
def with_tls(config: Path, tmp_path: Path) -> Path:
    Authority(tmp_path / "authority").issue("server", "localhost")
    lines = '[server.tls]\ncert = "authority/server.pem"\nkey = "authority/server-key.pem"\n'
    _append(config, lines)
    return config


def _append(config: Path, lines: str) -> None:
    config.write_text(config.read_text("utf-8") + lines, "utf-8")


@pytest.mark.parametrize("listen", NETWORK)
async def test_a_network_needs_tls(config: Path, tmp_path: Path, listen: str) -> None:
    """The server refuses such an address before it opens the store, and says what to do."""
    with pytest.raises(InvalidInput, match=r"without TLS.*set cert and key in \[server.tls\].*allow_insecure"):
        await serve(config, listen)

    assert not (tmp_path / "judge.db").exists()


@pytest.mark.parametrize("listen", NETWORK)
def test_a_network_needs_tokens(with_tls: Path, listen: str) -> None:
    """With TLS, calls need a token. To turn that off takes a second setting."""
    assert listen_options(load(with_tls), listen).tokens is True

    _append(with_tls, "[auth]\ntokens = false\n")
    with pytest.raises(InvalidInput, match="without access tokens"):
        listen_options(load(with_tls), listen)


@pytest.mark.parametrize(
    ("lines", "address", "tokens"),
    [
        ("", "127.0.0.1:1", None),
        ("tokens = true", "unix:/tmp/socket", True),
        ("tokens = false", "127.0.0.1:1", False),
        ("allow_insecure = true", "0.0.0.0:1", None),
        ("allow_insecure = true\ntokens = true", "0.0.0.0:1", True),
        ("allow_insecure = true\ntokens = false", "0.0.0.0:1", False),
    ],
)
def test_tokens_can_be_required_anywhere(config: Path, lines: str, address: str, tokens: bool | None) -> None:
    """Unless the setting says so, they are required once the store has one: None."""
    _append(config, f"[auth]\n{lines}\n")

    assert listen_options(load(config), address).tokens is tokens


@pytest.mark.parametrize("listen", LOCAL)
def test_this_machine_needs_none(config: Path, listen: str) -> None:
    """Loopback addresses and Unix sockets are plaintext without a warning."""
    assert listen_options(load(config), listen).credentials is None


@pytest.mark.parametrize("listen", NETWORK)
def test_an_insecure_network_is_allowed_with_a_warning(
    config: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each start warns."""
    _append(config, "[auth]\nallow_insecure = true\n")

    for _ in range(2):
        assert listen_options(load(config), listen).credentials is None

        warned = capsys.readouterr().out
        assert "without TLS" in warned
        assert "without access tokens" in warned


def test_a_unix_socket_is_plaintext_whatever_the_certificate(with_tls: Path) -> None:
    """The certificate serves ports, of loopback too."""
    settings = load(with_tls)

    assert listen_options(settings, "unix:/tmp/socket").credentials is None
    assert listen_options(settings, "127.0.0.1:1").credentials is not None
