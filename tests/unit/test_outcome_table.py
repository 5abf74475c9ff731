"""The calls of the table of outcomes, compared with the model of DynamoDB in botocore."""

from __future__ import annotations

from datetime import timedelta

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from message_sender.outcome_table import OutcomeTable
from tests.support.fakes import FakeAwsApi, FakeClock, result_of


def test_calls_are_valid_in_the_model_of_the_service() -> None:
    model = ServiceModel(Loader().load_service_model("dynamodb", "service-2"))
    clock, api = FakeClock(), FakeAwsApi(lambda _: {})
    table = OutcomeTable(
        dynamodb=api.client(clock), table_name="outcomes", retention=timedelta(days=7), clock=clock
    )

    table.store(result_of().detail(), until=clock.monotonic() + 60)
    table.find("t-1", until=clock.monotonic() + 60)

    assert [operation for operation, _ in api.calls] == ["PutItem", "PutItem", "GetItem", "GetItem"]
    for operation, parameters in api.calls:
        shape = model.operation_model(operation).input_shape
        assert shape is not None
        assert ParamValidator().validate(parameters, shape).generate_report() == ""
