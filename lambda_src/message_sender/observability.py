"""Log lines, metrics and traces. They contain ids and codes, never a token or message text."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from functools import wraps
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from aws_lambda_powertools.logging.formatter import RESERVED_LOG_ATTRS, LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from message_sender.errors import AwsCallError, InternalError, MessageSenderError, UnsupportedEventError
from message_sender.result import Failed, Rejected, Sent, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from logging import LogRecord

    from aws_lambda_powertools import Logger, Metrics, Tracer

    from message_sender.delivery import Attempt, Delivery, Participant
    from message_sender.errors import DeliveryError, ResultNotPublishedError, RetryableError
    from message_sender.request import SendMessageRequest
    from message_sender.result import EventSource, MessageResult, Origin
    from message_sender.result_reader import KeptResult

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# Characters that control a terminal, split a line or hide text. JSON escapes the rest of them.
_UNSAFE: Final = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\U000e0000-\U000e007f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_OF_LOGGING: Final = frozenset(RESERVED_LOG_ATTRS)
_encode: Final = json.JSONEncoder(default=str, separators=(",", ":"), ensure_ascii=False).encode
_MAX_VALUES: Final = 100
"""Of one metric in a log line. Source: CloudWatch user guide, "Embedded metric format specification"."""

_METRICS: Final = {Sent: "MessagesSent", Rejected: "MessagesRejected", Failed: "MessagesFailed"}


def log_line(record: object) -> str:
    """Format a log record as one line of JSON that is safe to show in a terminal.

    Half of a surrogate pair cannot be encoded and becomes U+FFFD.
    """
    line = _encode(record)
    if line.isascii() and "\x7f" not in line:
        return line
    line = _SURROGATE.sub("\ufffd", line)
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], line)


class LogFormatter(LambdaPowertoolsFormatter):
    """Formats the lines of this function as Powertools does, in a third of the time.

    These have a constant message, which is not JSON, and never an exception.
    """

    def __init__(self) -> None:
        super().__init__(json_serializer=log_line)

    def format(self, record: LogRecord) -> str:
        if record.exc_info or record.args or not isinstance(record.msg, str):
            return super().format(record)
        keys = {
            **self.log_format,
            "level": record.levelname,
            "location": f"{record.funcName}:{record.lineno}",
            "message": record.msg,
            "timestamp": self.formatTime(record),
            **{name: value for name, value in record.__dict__.items() if name not in _OF_LOGGING},
            "xray_trace_id": self._get_latest_trace_id(),
        }
        return log_line({name: value for name, value in keys.items() if value is not None})


class Telemetry:
    """Reports what happens. For the main thread only: it has no lock.

    Values are counted here, and given to Powertools once, at the end of an invocation. It checks each value,
    which takes as long as to parse a message.
    """

    def __init__(self, *, logger: Logger, metrics: Metrics, tracer: Tracer | None) -> None:
        self._logger = logger
        self._metrics = metrics
        self._tracer = tracer
        self._values: dict[tuple[str, MetricUnit], list[float]] = {}
        self._by_code: Counter[tuple[str, str]] = Counter()

    def set_event_source(self, name: EventSource) -> None:
        """Make the event source a dimension of every metric of this invocation.

        Each metric is also counted without it: an alarm watches one metric, not one for each source.
        """
        self._metrics.add_dimension(name="EventSource", value=name)
        self._metrics.add_dimensions(service=self._metrics.service)

    def on_outcome(self, result: MessageResult, delivery: Delivery) -> None:
        """Report a message that has an outcome: one log line."""
        metric = _METRICS[type(result.outcome)]
        self._count(metric)
        if result.code is not None:
            self._by_code[metric, result.code] += 1
        self._count_attempts(delivery)
        # Clocks differ, but CloudWatch has no percentiles of a period with a negative value:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Percentiles
        latency = max(0.0, (result.completed_at - result.origin.accepted_at).total_seconds())
        self._add_seconds("EndToEndLatency", latency)
        outcome, ids = result.outcome, _ids(result.origin, delivery)
        ids["latency_ms"] = round(latency * 1000)
        if isinstance(outcome, Sent):
            if outcome.is_malformed:
                self._count("MalformedAnswers")
            self._logger.info("Message ended", outcome=result.name, message_id=outcome.message_id, **ids)
        else:
            self._logger.warning("Message ended", outcome=result.name, **_error(outcome.error), **ids)

    def on_deferred(self, origin: Origin, delivery: Delivery | None, error: RetryableError) -> None:
        """Report a message that may be sent later. Without a delivery there was no attempt."""
        self._count_retry(delivery)
        self._logger.warning("Message deferred", **_error(error), **_ids(origin, delivery))

    def on_enqueued(self, origin: Origin, delivery: Delivery, error: RetryableError | None) -> None:
        """Report a message of an event that is in the messages queue now. Without an error it is no retry."""
        if error is None:
            self._logger.info("Message enqueued", **_ids(origin, delivery))
            return
        self._count_retry(delivery)
        self._logger.warning("Message enqueued for retry", **_error(error), **_ids(origin, delivery))

    def on_copy_failed(self, origin: Origin, delivery: Delivery | None, error: AwsCallError) -> None:
        """Report a rejected or failed message that could not be copied. It is redelivered."""
        self._count_retry(delivery)
        keys = _ids(origin, delivery)
        if delivery is not None and not isinstance(delivery.outcome, Sent):
            keys |= _error(delivery.outcome.error)
        self._logger.error("Copy not made", failure=str(error), **keys)

    def on_visibility_not_changed(self, error: BaseException) -> None:
        """Report messages that are redelivered later than planned, when their visibility timeout ends."""
        self._logger.warning("Visibility not changed", failure=_failure(error))

    def on_publish_failed(self, origin: Origin, error: ResultNotPublishedError) -> None:
        """Report a result that is neither on the bus nor in the queue for unpublished results."""
        self._count("ResultPublishFailures")
        self._logger.error("Result not published", failure=str(error), **_ids(origin, None))

    def on_task_not_completed(self, origin: Origin, error: BaseException) -> None:
        """Report a task that waits on until it times out, although its message has an outcome."""
        self._count("TaskCallbackFailures")
        self._logger.error("Task not answered", failure=_failure(error), **_ids(origin, None))

    def on_republished(self, result: KeptResult, error: AwsCallError | None) -> None:
        """Report a result of the unpublished-results queue: now published, or refused again."""
        keys: dict[str, Any] = {"correlation_id": result.source_id, "client_token": result.client_token}
        if error is None:
            self._logger.info("Result published", **keys)
        else:
            self._logger.warning("Result not accepted by the bus", failure=str(error), **keys)

    def on_not_a_result(self, message_id: str) -> None:
        """Report a message of the unpublished-results queue that only an operator can delete."""
        self._logger.error("Not a result of this stack", sqs_message_id=message_id)

    def on_outcome_stored(self, detail: Mapping[str, Any]) -> None:
        """Report a result that can be looked up by its ids."""
        self._logger.info("Outcome stored", **_ids_of_result(detail))

    def on_outcome_not_stored(self, detail: Mapping[str, Any], error: AwsCallError) -> None:
        """Report a result that Lambda passes to the function again."""
        self._logger.error("Outcome not stored", failure=str(error), **_ids_of_result(detail))

    def on_outcome_not_read(self, error: AwsCallError) -> None:
        """Report a look-up that failed. The id is the caller's text, so it is not logged."""
        self._logger.error("Outcome not read", failure=str(error))

    def on_defect(self, error: BaseException, *, origin: Origin | None = None) -> None:
        """Report a defect by its place. The text of the error is left out: it could quote a message.

        Any invoker can send an unsupported event, so it has its own metric and raises no alarm on defects.
        """
        if isinstance(error, UnsupportedEventError):
            self._count("UnsupportedEvents")
        else:
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
    def invocation(self) -> Iterator[None]:
        """Report an invocation: the defect that ends it, and at its end the metrics.

        Errors that are meant for the caller pass. Any other becomes an `InternalError`.
        """
        try:
            yield
        except UnsupportedEventError as error:
            self.on_defect(error)
            raise
        except MessageSenderError:
            raise
        except Exception as defect:  # noqa: BLE001  # reported by its type and place alone
            self.on_defect(defect)
            raise InternalError.caused_by(defect) from None
        finally:
            self._print_metrics()

    def in_this_trace(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        """Return the function for another thread, where it traces under the segment that is current now."""
        if self._tracer is None:
            return function
        recorder: Any = self._tracer.provider
        parent = recorder.get_trace_entity()

        @wraps(function)
        def traced(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            recorder.set_trace_entity(parent)
            return function(*args, **kwargs)

        return traced

    def _count_retry(self, delivery: Delivery | None) -> None:
        self._count("MessagesRetried")
        if delivery is not None:
            self._count_attempts(delivery)

    def _count_attempts(self, delivery: Delivery) -> None:
        if delivery.attempts:
            self._count("SendAttempts", delivery.attempts)
        if delivery.throttles:
            self._count("SendMessageThrottles", delivery.throttles)
        if delivery.send_seconds is not None:
            self._add_seconds("SendLatency", delivery.send_seconds)

    def _count(self, name: str, value: int = 1) -> None:
        self._values.setdefault((name, MetricUnit.Count), []).append(float(value))

    def _add_seconds(self, name: str, value: float) -> None:
        self._values.setdefault((name, MetricUnit.Milliseconds), []).append(value * 1000)

    def _print_metrics(self) -> None:
        for (name, unit), values in self._values.items():
            for value in values if len(values) >= _MAX_VALUES else values[:1]:
                self._metrics.add_metric(name=name, unit=unit, value=value)  # prints and clears a full set
            if len(values) < _MAX_VALUES:
                self._metrics.metric_set[name]["Value"] += values[1:]
        for (name, code), count in self._by_code.items():
            for start in range(0, count, _MAX_VALUES):
                with single_metric(
                    name=name, unit=MetricUnit.Count, value=1, namespace=self._metrics.namespace
                ) as by_code:
                    by_code.add_dimension(name="service", value=self._metrics.service)
                    by_code.add_dimension(name="Code", value=code)
                    by_code.metric_set[name]["Value"] *= min(count - start, _MAX_VALUES)
        self._values.clear()
        self._by_code.clear()
        if self._metrics.metric_set:  # Powertools warns of an empty set
            self._metrics.flush_metrics()
        self._metrics.clear_metrics()


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
        # Not a list called `attempts`: Logs Insights makes it `attempts.0.code` and so on, and saved queries
        # and the result event have the number under that name
        "each_attempt": [_attempt(attempt) for attempt in delivery.each_attempt],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": rfc3339(attempt.started_at),
        "wait_ms": round(attempt.wait * 1000),
        "ms": round(attempt.seconds * 1000),
        "code": attempt.code,
        "http_status": attempt.http_status,
    }


def _ids_of_result(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "correlation_id": detail["SourceId"],
        "event_source": detail["EventSource"],
        "client_token": detail["ClientToken"],
        "contact_id": detail["ContactId"],
        "outcome": detail["Outcome"],
    }


def _failure(error: BaseException) -> str:
    """Describe a failure. Of a defect, only the type: its text could quote a message."""
    return str(error) if isinstance(error, AwsCallError) else type(error).__name__


def _error(error: DeliveryError) -> dict[str, Any]:
    return {
        "code": error.code,
        "reason": error.reason,
        "http_status": error.http_status,
        "service_request_id": error.request_id,
    }


class TracedParticipant:
    """A participant that records each call as a subsegment, without the message and the answer."""

    def __init__(self, participant: Participant, *, tracer: Tracer) -> None:
        self._participant = participant
        self._recorder: Any = tracer.provider

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        with self._recorder.in_subsegment("SendMessage", namespace="remote") as subsegment:
            try:
                return self._participant.send_message(request, timeout=timeout)
            except Exception as error:  # noqa: BLE001  # raised outside the block: X-Ray records its text here
                failure = error
                subsegment.put_annotation("Error", type(error).__name__)
        raise failure
