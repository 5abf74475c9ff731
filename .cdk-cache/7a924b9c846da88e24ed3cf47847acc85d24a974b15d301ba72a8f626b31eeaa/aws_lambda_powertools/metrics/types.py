from typing import NotRequired, TypedDict


class MetricNameUnitResolution(TypedDict):
    Name: str
    Unit: str
    StorageResolution: NotRequired[int]
