"""An AWS account that answers from a table, in the form that botocore's models define."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACCOUNT = "111122223333"
REGION = "eu-central-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/alice"


@dataclass(frozen=True)
class Refusal:
    """An error, by the code that boto3 reports."""

    code: str
    status: int = 400


class _Response:
    def __init__(self, status: int) -> None:
        self.status_code = status


@dataclass
class RecordedAccount:
    """A session of boto3. Its clients check each request and each answer against the service's model.

    Attributes:
        answers: By service and operation: an answer, a refusal, or a function of the parameters.
        calls: The service, the operation, the Region and the parameters of each call.
    """

    answers: dict[
        tuple[str, str], dict[str, Any] | Refusal | Callable[[Mapping[str, Any]], dict[str, Any] | Refusal]
    ]
    region_name: str = REGION
    calls: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def operations(self) -> list[str]:
        return [operation for _, operation, _, _ in self.calls]

    def client(self, service: str, *, region_name: str | None = None, config: object = None) -> Any:  # noqa: ANN401  # a client of any service
        del config
        key = service, region_name or self.region_name
        if key not in _CLIENTS:
            _CLIENTS[key] = _client(*key)
        client, holder = _CLIENTS[key]
        holder.append(self)
        return client

    def answer(self, service: str, operation: Any, region: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401  # botocore's own
        self.calls.append((service, operation.name, region, parameters))
        answer = self.answers[service, operation.name]
        if callable(answer):
            answer = answer(parameters)
        if isinstance(answer, Refusal):
            return _Response(answer.status), {"Error": {"Code": answer.code, "Message": "set by the test"}}
        if operation.output_shape is not None:
            report = ParamValidator().validate(answer, operation.output_shape)
            assert not report.has_errors(), report.generate_report()
        return _Response(200), {"ResponseMetadata": {"HTTPStatusCode": 200}, **answer}


_CLIENTS: dict[tuple[str, str], tuple[Any, list[RecordedAccount]]] = {}
"""Clients of all tests with the accounts that use them. To make a client takes longer than a test."""


def _client(service: str, region: str) -> tuple[Any, list[RecordedAccount]]:
    client: Any = boto3.Session(  # type: ignore[call-overload]  # one overload per service
        aws_access_key_id="none", aws_secret_access_key="none", region_name=region
    ).client(service)
    holder: list[RecordedAccount] = []

    def remember(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        context["recorded parameters"] = params

    def answer(model: Any, context: dict[str, Any], **_: object) -> Any:  # noqa: ANN401  # botocore's own
        return holder[-1].answer(service, model, region, context["recorded parameters"])

    client.meta.events.register("before-parameter-build.*.*", remember)
    client.meta.events.register("before-call.*.*", answer)
    return client, holder
