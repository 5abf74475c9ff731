"""The errors of the service, under the names in its model.

ServiceError
├── AccessDeniedError       403  one answer for many causes, as in the real service
├── InvalidParameterError   400  the `connect` service's name for invalid input
├── InvalidRequestError     400  a member of the `connect` service that is not supported here
├── ResourceNotFoundError   404  only the `connect` service and control calls
├── ThrottlingError         429
├── UnknownOperationError   404  in the model, but not supported here
└── ValidationError         400
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class ServiceError(Exception):
    """An answer other than success. Its text goes to the caller and never contains a token or a message."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    @property
    def code(self) -> str:
        return type(self).__name__.replace("Error", "Exception")


class AccessDeniedError(ServiceError):
    status = HTTPStatus.FORBIDDEN


class InvalidParameterError(ServiceError):
    pass


class InvalidRequestError(ServiceError):
    pass


class ResourceNotFoundError(ServiceError):
    status = HTTPStatus.NOT_FOUND


class ThrottlingError(ServiceError):
    status = HTTPStatus.TOO_MANY_REQUESTS


class UnknownOperationError(ServiceError):
    status = HTTPStatus.NOT_FOUND


class ValidationError(ServiceError):
    pass
