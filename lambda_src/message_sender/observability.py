"""Log lines, metrics and traces of the function. They hold ids and codes, never a token or message text."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from functools import wraps
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from message_sender.errors import (
    AwsCallError,
    InternalError,
    MessageSenderError,
    UnsupportedEventError,
)
from message_sender.result import Failed, Rejected, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_lambda_powertools import Logger, Metrics, Tracer

    from message_sender.delivery import Delivery, Participant
    from message_sender.errors import DeliveryError, RetryableError
    from message_sender.request import SendMessageRequest
    from message_sender.result import EventSource, MessageResult, Origin

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# Characters that steer a terminal, split a line or hide text. JSON escapes the other controls.
_UNSAFE: Final = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\U000e0000-\U000e007f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_METRICS: Final = {Sent: "MessagesSent", Rejected: "MessagesRejected", Failed: "MessagesFailed"}


def log_line(record: object) -> str:
    """Write a record of the log as one line of JSON that any terminal shows as it is.

    Half of a surrogate pair becomes U+FFFD: it cannot be encoded.
    """
    line = json.dumps(record, default=str, separators=(",", ":"), ensure_ascii=False)
    line = _SURROGATE.sub("\ufffd", line)
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], line)


class Telemetry:
    """What the function says of itself. For the main thread only: Powertools' metrics have no lock."""

    def __init__(self, *, logger: Logger, metrics: Metrics, tracer: Tracer | None) -> None:
        self._logger = logger
        self._metrics = metrics
        self._tracer = tracer

    def event_source(self, name: EventSource) -> None:
        """Set what invoked the function: a dimension of every metric of this invocation.

        Each is counted without it, too: an alarm looks at one metric, not at one for each event source.
        """
        self._metrics.add_dimension(name="EventSource", value=name)
        self._metrics.add_dimensions(service=self._metrics.service)

    def ended(self, result: MessageResult, delivery: Delivery) -> None:
        """Tell of a message that has an outcome: one log line."""
        metric = _METRICS[type(result.outcome)]
        self._count(metric)
        if result.code is not None:
            with single_metric(
                name=metric, unit=MetricUnit.Count, value=1, namespace=self._metrics.namespace
            ) as by_code:
                by_code.add_dimension(name="service", value=self._metrics.service)
                by_code.add_dimension(name="Code", value=result.code)
        self._note_attempts(delivery)
        latency = result.completed_at - result.origin.accepted_at
        self._metrics.add_metric(
            name="EndToEndLatency", unit=MetricUnit.Milliseconds, value=latency.total_seconds() * 1000
        )
        outcome, ids = result.outcome, _ids(result.origin, delivery)
        if isinstance(outcome, Sent):
            if outcome.is_malformed:
                self._count("MalformedAnswers")
            self._logger.info("Message ended", outcome=result.name, message_id=outcome.message_id, **ids)
        else:
            self._logger.warning("Message ended", outcome=result.name, **_error(outcome.error), **ids)

    def not_delivered_yet(self, origin: Origin, delivery: Delivery | None, error: RetryableError) -> None:
        """Tell of a message that may be sent later. Without a delivery it was not tried."""
        self._count("MessagesRetried")
        if delivery is not None:
            self._note_attempts(delivery)
        self._logger.warning("Message not delivered yet", **_error(error), **_ids(origin, delivery))

    def copy_failed(self, origin: Origin, delivery: Delivery | None, error: AwsCallError) -> None:
        """Tell of a message, rejected or given up, that could not be copied. It comes back."""
        self._count("MessagesRetried")
        keys = _ids(origin, delivery)
        if delivery is not None:
            self._note_attempts(delivery)
            if not isinstance(delivery.outcome, Sent):
                keys |= _error(delivery.outcome.error)
        self._logger.error("Copy not made", failure=str(error), **keys)

    def handed_over(self, origin: Origin, delivery: Delivery, error: RetryableError) -> None:
        """Tell of a message of an event that is in the queue now, to be tried again."""
        self._count("MessagesRetried")
        self._note_attempts(delivery)
        self._logger.warning("Message handed over to the queue", **_error(error), **_ids(origin, delivery))

    def delay_failed(self, error: BaseException) -> None:
        """Tell of messages that come back later than they should: when their visibility timeout ends."""
        self._logger.warning("Visibility not changed", failure=_failure(error))

    def publish_failed(self, origin: Origin) -> None:
        """Tell of a result that neither the bus nor the queue took."""
        self._count("ResultPublishFailures")
        self._logger.error("Result not published", **_ids(origin, None))

    def task_not_answered(self, origin: Origin, error: BaseException) -> None:
        """Tell of a task that waits on, though its message has an outcome, until it times out."""
        self._count("TaskCallbackFailures")
        self._logger.error("Task not answered", failure=_failure(error), **_ids(origin, None))

    def unhandled(self, error: BaseException, *, origin: Origin | None = None) -> None:
        """Tell of a defect: where it is, and not what the error says, which could hold anything."""
        self._count("UnhandledErrors")
        if isinstance(error, InternalError) and error.defect is not None:
            error = error.defect
        self._logger.error(
            "Unhandled error",
            error_type=type(error).__name__,
            stack=[
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
                for frame in extract_tb(error.__traceback__)
            ],
            **({} if origin is None else _ids(origin, None)),
        )

    @contextmanager
    def defects_told(self) -> Iterator[None]:
        """Let errors that are meant for the caller pass. Tell of any other, and raise an `InternalError`."""
        try:
            yield
        except UnsupportedEventError as error:
            self.unhandled(error)
            raise
        except MessageSenderError:
            raise
        except Exception as defect:  # noqa: BLE001  # any defect is told by type and place alone
            self.unhandled(defect)
            raise InternalError.caused_by(defect) from None

    def in_this_trace(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        """Return a function that, in another thread, traces under the segment that is current here."""
        if self._tracer is None:
            return function
        recorder: Any = self._tracer.provider
        parent = recorder.get_trace_entity()

        @wraps(function)
        def traced(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            recorder.set_trace_entity(parent)
            return function(*args, **kwargs)

        return traced

    def _note_attempts(self, delivery: Delivery) -> None:
        if delivery.attempts:
            self._count("SendAttempts", delivery.attempts)
        if delivery.throttles:
            self._count("Throttles", delivery.throttles)
        if delivery.send_seconds is not None:
            self._metrics.add_metric(
                name="SendLatency", unit=MetricUnit.Milliseconds, value=delivery.send_seconds * 1000
            )

    def _count(self, name: str, value: int = 1) -> None:
        self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def _ids(origin: Origin, delivery: Delivery | None) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "correlation_id": origin.source_id,
        "event_source": origin.event_source,
        "receive_count": origin.receive_count,
    }
    if delivery is None:
        return keys
    return keys | {
        "client_token": delivery.correlation.client_token,
        "contact_id": delivery.correlation.contact_id,
        "content_type": delivery.correlation.content_type,
        "attempts": delivery.attempts,
    }


def _failure(error: BaseException) -> str:
    """Say what failed: of a defect the type alone, since its text could hold anything."""
    return str(error) if isinstance(error, AwsCallError) else type(error).__name__


def _error(error: DeliveryError) -> dict[str, Any]:
    return {
        "code": error.code,
        "reason": error.reason,
        "http_status": error.http_status,
        "service_request_id": error.request_id,
    }


class TracedParticipant:
    """A participant whose every call is a subsegment, without the message and without the answer."""

    def __init__(self, participant: Participant, *, tracer: Tracer) -> None:
        self._participant = participant
        self._recorder: Any = tracer.provider

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        with self._recorder.in_subsegment("SendMessage", namespace="remote") as subsegment:
            try:
                return self._participant.send_message(request, timeout=timeout)
            except Exception as error:  # noqa: BLE001  # raised again below
                # Not from in here: X-Ray would record the text of whatever leaves the block.
                failure = error
                subsegment.put_annotation("Error", type(error).__name__)
        raise failure
