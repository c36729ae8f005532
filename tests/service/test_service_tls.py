"""TLS and mTLS between the client and the server, and what the client says when they do not match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from judge.app.local import running
from judge.domain.errors import InvalidInput
from judge.rpc.certificates import CertificateFiles, Certificates
from judge_client import JudgeClient, JudgeClientError
from support.authority import Authority, Issued, serving_tls
from support.demo_data import settings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def server_files(authority: Authority) -> Issued:
    return authority.issue("server", "127.0.0.1", "localhost")


async def refusal(address: str, **options: Any) -> str:  # noqa: ANN401  # those of the client
    """Return what the client says when a call fails."""
    async with JudgeClient(address, timeout=10, **options) as client:
        with pytest.raises(JudgeClientError) as caught:
            await client.create_dataset("d")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    return caught.value.message


async def created(address: str, **options: Any) -> str:  # noqa: ANN401  # as above
    """Return the name of a dataset that the client has created."""
    async with JudgeClient(address, timeout=10, **options) as client:
        return (await client.create_dataset("d")).name


async def test_a_client_that_trusts_the_authority_is_served(authority: Authority, server_files: Issued) -> None:
    """The client gives the authority's file, and TLS follows from that."""
    async with serving_tls(server_files) as address:
        assert await created(address, ca=authority.ca) == "datasets/d"


async def test_credentials_of_grpc_are_taken_as_they_are(authority: Authority, server_files: Issued) -> None:
    """A caller that has its own credentials passes them."""
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())

    async with serving_tls(server_files) as address:
        assert await created(address, credentials=credentials) == "datasets/d"


async def test_an_authority_in_the_environment_is_used(
    authority: Authority, server_files: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller does not give comes from the environment."""
    monkeypatch.setenv("JUDGE_CA", str(authority.ca))

    async with serving_tls(server_files) as address:
        assert await created(address) == "datasets/d"


async def test_with_mtls_a_client_needs_a_certificate_of_the_right_authority(
    authority: Authority, server_files: Issued, tmp_path: Path
) -> None:
    """None, one of another authority and an expired one are refused, and the client says so."""
    mine, stranger = authority.issue("client", "me"), Authority(tmp_path / "stranger").issue("client", "me")
    late = authority.issue("late", "me", days=-1)

    async with serving_tls(server_files, client_ca=authority.ca) as address:
        assert "requires a client certificate" in await refusal(address, ca=authority.ca)
        for refused in (stranger, late):
            message = await refusal(address, ca=authority.ca, cert=refused.cert, key=refused.key)
            assert f"refused the client certificate {refused.cert}: it has expired, or is not from" in message
        assert await created(address, ca=authority.ca, cert=mine.cert, key=mine.key) == "datasets/d"


async def test_an_untrusted_certificate_is_said_to_be(server_files: Issued, tmp_path: Path) -> None:
    """The error says that the certificate is not trusted, and how to trust it."""
    other = Authority(tmp_path / "other")

    async with serving_tls(server_files) as address:
        message = await refusal(address, ca=other.ca)

    assert f"the certificate of {address} is not trusted" in message
    assert "--ca FILE" in message


async def test_a_certificate_for_another_name_or_time_is_said_to_be(authority: Authority) -> None:
    """A wrong name and an expired certificate each have a sentence of their own."""
    async with serving_tls(authority.issue("server", "judge.example")) as address:
        assert "is not for 127.0.0.1" in await refusal(address, ca=authority.ca)
    async with serving_tls(authority.issue("server", "127.0.0.1", days=-1)) as address:
        assert "has expired" in await refusal(address, ca=authority.ca)


async def test_plaintext_and_tls_that_meet_are_said_to(
    authority: Authority, server_files: Issued, client: JudgeClient
) -> None:
    """Plaintext to a port with TLS, and TLS to a plaintext address, where gRPC says that the socket was closed."""
    async with serving_tls(server_files) as address:
        assert "expects TLS" in await refusal(address)
    assert "does not use TLS" in await refusal(client.address, ca=authority.ca)


async def test_a_server_that_is_not_there_is_not_a_problem_of_tls(authority: Authority) -> None:
    """The words of gRPC stay."""
    assert "Connection refused" in await refusal("127.0.0.1:1", ca=authority.ca)


async def test_a_new_certificate_is_used_without_a_restart(authority: Authority) -> None:
    """A renewed certificate serves the next connection. Before, the old one was for another name."""
    files = authority.issue("server", "judge.example")

    async with serving_tls(files) as address:
        before = await refusal(address, ca=authority.ca)
        authority.issue("server", "127.0.0.1")
        after = await created(address, ca=authority.ca)

    assert "is not for" in before
    assert after == "datasets/d"


async def test_a_key_without_its_certificate_keeps_the_previous_ones(
    authority: Authority, server_files: Issued
) -> None:
    """Between the writing of two files, they do not belong together; clients are served all the same."""
    renewed = authority.issue("renewed", "127.0.0.1")

    async with serving_tls(server_files) as address:
        server_files.key.write_bytes(renewed.key.read_bytes())
        between = await created(address, ca=authority.ca)
        server_files.cert.write_bytes(renewed.cert.read_bytes())
        async with JudgeClient(address, ca=authority.ca) as client:
            afterwards = [each.name async for each in client.list_datasets()]

    assert between == "datasets/d"
    assert afterwards == ["datasets/d"]


async def test_a_token_for_this_machine_takes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects directly, whatever proxy the environment names: there, the token would leave the machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async with running(settings(), store_url="sqlite://", listen="127.0.0.1:0") as address:
        assert await created(address, token="judge_x") == "datasets/d"  # a token that the server does not ask for


async def test_health_checks_have_a_plaintext_address_of_their_own(
    authority: Authority, server_files: Issued, tmp_path: Path
) -> None:
    """It answers health checks without TLS, and no other method."""
    probes = f"unix:{tmp_path}/health"

    async with serving_tls(server_files, client_ca=authority.ca, health_listen=probes):
        async with grpc.aio.insecure_channel(probes) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            assert (await check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        async with JudgeClient(probes) as client:
            with pytest.raises(JudgeClientError) as caught:
                await client.create_dataset("d")

    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("reflects", [True, False])
async def test_reflection_is_a_setting(authority: Authority, server_files: Issued, reflects: bool) -> None:
    """Without it, the server does not describe its API."""
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]

    async with serving_tls(server_files, reflection=reflects) as address:
        credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
        async with grpc.aio.secure_channel(address, credentials) as channel:
            call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests))
            if reflects:
                [reply] = [reply async for reply in call]
                names = {service.name for service in reply.list_services_response.service}
                assert "judge.api.v1.RunService" in names
            else:
                assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


def test_changed_files_are_read_once_and_wrong_ones_never(authority: Authority, server_files: Issued) -> None:
    """Unchanged files and files that cannot be used give nothing new."""
    certificates = Certificates(CertificateFiles(cert=server_files.cert, key=server_files.key))

    assert certificates.changed() is None
    authority.issue("server", "127.0.0.1")
    assert certificates.changed() is not None
    assert certificates.changed() is None
    server_files.cert.write_text("junk", "utf-8")
    assert certificates.changed() is None
    server_files.cert.unlink()
    assert certificates.changed() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("junk", "are not a certificate and an unencrypted key in PEM format"),
        ("missing", "cannot be read"),
        ("other", "is not the key of the certificate"),
        ("authority", "client_ca: .* holds no certificate"),
    ],
)
def test_files_that_cannot_be_used_stop_the_start(
    authority: Authority, server_files: Issued, tmp_path: Path, change: str, message: str
) -> None:
    """Without this, the error of gRPC would be that it failed to bind."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk", "utf-8")
    key = {
        "junk": junk,
        "missing": tmp_path / "none.pem",
        "other": authority.issue("other", "127.0.0.1").key,
        "authority": server_files.key,
    }[change]

    with pytest.raises(InvalidInput, match=message):
        Certificates(
            CertificateFiles(cert=server_files.cert, key=key, client_ca=junk if change == "authority" else None)
        )
