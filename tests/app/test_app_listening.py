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
    config.write_text(config.read_text("utf-8") + lines, "utf-8")
    return config


@pytest.mark.parametrize("listen", NETWORK)
async def test_a_network_needs_tls(config: Path, tmp_path: Path, listen: str) -> None:
    """The server refuses such an address before it opens the store, and says what to do."""
    with pytest.raises(InvalidInput, match=r"without TLS.*set cert and key in \[server.tls\].*allow_insecure"):
        await serve(config, listen)

    assert not (tmp_path / "judge.db").exists()


@pytest.mark.parametrize("listen", LOCAL)
def test_this_machine_needs_none(config: Path, listen: str) -> None:
    """Loopback addresses and Unix sockets are plaintext without a warning."""
    assert listen_options(load(config), listen).credentials is None


@pytest.mark.parametrize("listen", NETWORK)
def test_an_insecure_network_is_allowed_with_a_warning(
    config: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each start warns."""
    config.write_text(config.read_text("utf-8") + "[auth]\nallow_insecure = true\n", "utf-8")

    for _ in range(2):
        assert listen_options(load(config), listen).credentials is None

        assert "without TLS" in capsys.readouterr().out


def test_a_unix_socket_is_plaintext_whatever_the_certificate(with_tls: Path) -> None:
    """The certificate serves ports, of loopback too."""
    settings = load(with_tls)

    assert listen_options(settings, "unix:/tmp/socket").credentials is None
    assert listen_options(settings, "127.0.0.1:1").credentials is not None
