"""What the template says for a developer's machine."""

import pytest

from tests.template.stack import Stack


@pytest.mark.parametrize(("stage", "found"), [("local", False), ("dev", True)])
def test_the_authorizer_is_an_alias_but_for_sam_local_which_knows_none(
    stage: str,
    found: bool,  # noqa: FBT001  # an expectation
) -> None:
    security = Stack("dev", Stage=stage).properties("Api")["Body"]["components"]["securitySchemes"]
    assert ("AuthorizerFunctionAliaslive" in str(security)) == found
