"""The part of IAM's evaluation that the policies of the stack need. Anything else is an error."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, str | list[str]]

_PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
}


def resolve(value: Any) -> Any:  # noqa: ANN401  # any part of a template
    """Replace intrinsic functions by text, such as `<name>` for a reference."""
    match value:
        case {"Ref": str(name)}:
            return _PSEUDO_PARAMETERS.get(name, f"<{name}>")
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [str(separator), [*parts]]}:
            return separator.join(resolve(part) for part in parts)
        case dict():
            return {name: resolve(part) for name, part in value.items()}
        case list():
            return [resolve(part) for part in value]
    return value


def allows(
    statements: Iterable[Statement],
    action: str,
    resource: object = "*",
    *,
    principal: str | None = None,
    context: Context | None = None,
) -> bool:
    """Return whether a statement allows the request and none denies it.

    Args:
        principal: the caller, for the policy of a resource.
        context: the values of condition keys. A key with several values has a list.
    """
    wanted = (action, resolve(resource), principal, context or {})
    effects = {statement["Effect"] for statement in map(resolve, statements) if _applies(statement, *wanted)}
    return effects == {"Allow"}


def _applies(
    statement: Statement, action: str, resource: str, principal: str | None, context: Context
) -> bool:
    if unknown := statement.keys() - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}:
        raise ValueError(f"unknown: {unknown}")
    return (
        _matches_any(statement["Action"], action)
        and _matches_any(statement["Resource"], resource)
        and _is_principal(statement.get("Principal"), principal)
        and all(
            _holds(operator, key, _listed(values), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _is_principal(stated: object, principal: str | None) -> bool:
    if stated is None or principal is None:
        return stated is principal
    if not isinstance(stated, Mapping):
        raise TypeError(f"unknown principal: {stated!r}")
    return any(_matches_any(names, principal) for names in stated.values())


def _matches_any(patterns: str | list[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _listed(patterns))


def _listed(values: str | list[str]) -> list[str]:
    return values if isinstance(values, list) else [values]


def _within(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "ArnEquals": fnmatchcase,
    "ArnLike": fnmatchcase,
    "Bool": str.__eq__,
    "IpAddress": _within,
}


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    found = _listed(context[key]) if key in context else []
    if operator == "Null":
        return (not found) == (wanted == ["true"])
    for_all_values = operator.startswith("ForAllValues:")
    name = operator.removeprefix("ForAllValues:")
    negated = name.replace("Not", "", 1) if "Not" in name else None
    compare = _OPERATORS[negated or name]
    outcomes = [any(compare(value, one) for one in wanted) != bool(negated) for value in found]
    if not for_all_values and len(found) > 1:
        raise ValueError(f"{key} has several values: {operator} is for one value")
    return all(outcomes) if outcomes else for_all_values or bool(negated)
