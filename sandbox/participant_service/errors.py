"""The errors of the service, by the names in its model.

ServiceError
├── AccessDeniedError       403  one answer for many causes, as the service gives it
├── InvalidParameterError   400  from the `connect` service, which has no ValidationException
├── InvalidRequestError     400  from the `connect` service: what this local one does not serve
├── ResourceNotFoundError   404  only from the `connect` service and control calls
├── ThrottlingError         429
├── UnknownOperationError   404  the model has it, this service does not
└── ValidationError         400
"""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """An answer other than success. Its text goes to the caller and never holds a token or a message."""

    code: ClassVar[str]
    status: ClassVar[int]


class AccessDeniedError(ServiceError):
    code = "AccessDeniedException"
    status = 403

    def __init__(self) -> None:
        super().__init__("Access denied")


class InvalidParameterError(ServiceError):
    code = "InvalidParameterException"
    status = 400


class InvalidRequestError(ServiceError):
    code = "InvalidRequestException"
    status = 400


class ResourceNotFoundError(ServiceError):
    code = "ResourceNotFoundException"
    status = 404


class ThrottlingError(ServiceError):
    code = "ThrottlingException"
    status = 429

    def __init__(self) -> None:
        super().__init__("Rate exceeded")


class UnknownOperationError(ServiceError):
    code = "UnknownOperationException"
    status = 404


class ValidationError(ServiceError):
    code = "ValidationException"
    status = 400
