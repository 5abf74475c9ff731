"""The errors of the service."""

from __future__ import annotations

from http import HTTPStatus

STATUSES = {
    "ValidationException": 400,
    "ServiceQuotaExceededException": 402,
    "AccessDeniedException": 403,  # one answer for many causes, as in the real service
    "ResourceNotFoundException": 404,  # only the `connect` service and control calls
    "ConflictException": 409,
    "ThrottlingException": 429,
    "InternalServerException": 500,
    # The names of the `connect` service for invalid input, and for a member that is not supported here
    "InvalidParameterException": 400,
    "InvalidRequestException": 400,
    # In the model, but not supported here
    "UnknownOperationException": 404,
}
"""The HTTP status of each error, by its name in the service's model. The first name of a status is usual."""


class ServiceError(Exception):
    """An answer other than success. Its text goes to the caller and never contains a token or a message."""

    def __init__(self, code: str, text: str | None = None) -> None:
        self.code = code
        self.status = HTTPStatus(STATUSES[code])
        super().__init__(text or self.status.phrase)


def access_denied() -> ServiceError:
    return ServiceError("AccessDeniedException")


def invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", text)
