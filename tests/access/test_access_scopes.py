"""Each method of the API has a scope."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor

from judge.access.scopes import SCOPES, scope_of
from judge.domain.token import AccessScope
from support.methods import METHODS, path_of


def test_every_method_has_a_scope_and_every_scope_a_method() -> None:
    """The table names the methods of the API, no others, and uses all scopes."""
    assert {path_of(method) for method in METHODS} == SCOPES.keys()
    assert set(AccessScope) == set(SCOPES.values())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_the_first_word_of_a_method_says_its_scope(method: MethodDescriptor) -> None:
    """What reads needs no more than `read`, and what deletes needs `admin`."""
    scope = SCOPES[path_of(method)]

    assert (scope is AccessScope.ADMIN) == method.name.startswith("Delete")
    if method.name.startswith(("Get", "List", "Read", "Watch", "Stream")):
        assert scope is AccessScope.READ
    if method.name.startswith(("Create", "Upload", "Cancel", "Resume", "Set")):
        assert scope is not AccessScope.READ


def test_a_method_without_a_scope_is_not_open() -> None:
    """One that was forgotten needs the scope that hardly any token has; methods of other packages need any token."""
    assert scope_of("/judge.api.v1.RunService/Forgotten") is AccessScope.ADMIN
    assert scope_of("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") is None
