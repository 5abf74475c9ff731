"""The picture of a dashboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from sandbox.dashboard.picture import draw
from sandbox.dashboard.recording import Recording, metric

if TYPE_CHECKING:
    from collections.abc import Mapping

SVG = "{http://www.w3.org/2000/svg}"
RED = "#aa0000"
GREEN = "#00aa00"


def widget(kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "x": 0, "y": 0, "width": 8, "height": 6, "properties": properties}


def graph(
    metrics: list[list[Any]] | None = None, lines: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    depth = ["AWS/SQS", "Depth", "QueueName", "q", {"stat": "Maximum", "label": "depth", "color": RED}]
    annotations = {"horizontal": lines or []}
    properties = {"title": "What waits < here?", "metrics": metrics or [depth], "annotations": annotations}
    return widget("metric", properties)


@pytest.fixture
def recording() -> Recording:
    recording = Recording(own_namespace="stack")
    for at, value in ((0, 9.0), (10, 1.0), (20, 3.0), (40, 2.0), (50, 9.0)):
        recording.add(metric("AWS/SQS", "Depth", QueueName="q"), at, value)
    return recording


def drawn(recording: Recording, shown: dict[str, Any]) -> ET.Element:
    picture = draw({"widgets": [shown]}, recording, period=10, caption="Figures of a test")
    return ET.fromstring(picture)  # noqa: S314  # the picture was just drawn


def texts(picture: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in picture.iter(f"{SVG}text")]


def paths(picture: ET.Element, color: str) -> list[list[tuple[float, float]]]:
    """Return the points of each unfilled path of a color."""
    return [
        [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.attrib["d"])]
        for path in picture.iter(f"{SVG}path")
        if f"stroke: {color}" in path.get("style", "") and "fill: none" in path.get("style", "")
    ]


def test_graph_has_title_legend_and_axes(recording: Recording) -> None:
    shown = texts(drawn(recording, graph()))

    assert {"What waits < here?", "depth", "1.0", "2.0", "0 min", "Figures of a test"} <= set(shown)


def test_consecutive_points_are_joined_and_a_single_one_is_a_dot(recording: Recording) -> None:
    picture = drawn(recording, graph())

    line, _legend = paths(picture, RED)
    [(first_x, low), (second_x, high), single] = line
    assert first_x < second_x
    assert low > single[1] > high, "1, 2 and 3, from the bottom up"
    dots = [use.attrib for use in picture.iter(f"{SVG}use") if f"fill: {RED}" in use.get("style", "")]
    assert single in [(float(dot["x"]), float(dot["y"])) for dot in dots]


def test_annotation_above_every_value_is_within_the_graph(recording: Recording) -> None:
    annotation = {"value": 10, "label": "quota", "color": GREEN}

    picture = drawn(recording, graph(lines=[annotation]))

    [[(_, quota), _]] = paths(picture, GREEN)
    assert quota > 0
    assert {"quota", "10"} <= set(texts(picture))


@pytest.mark.parametrize(
    "line",
    [
        ["AWS/Events", "FailedInvocations", {"stat": "Sum", "label": "failed"}],
        [{"expression": "a + b", "label": "failed"}],
    ],
)
def test_line_without_local_data_is_marked(recording: Recording, line: list[Any]) -> None:
    shown = texts(drawn(recording, graph([line])))

    assert "failed (AWS only)" in shown
    assert "none" in shown


def test_graph_of_an_empty_recording_has_no_data() -> None:
    shown = texts(drawn(Recording(own_namespace="stack"), graph()))

    assert "none" in shown


def test_widget_of_another_type_is_an_empty_panel(recording: Recording) -> None:
    picture = drawn(recording, widget("explorer", {}))

    assert texts(picture) == ["Figures of a test"]


def test_alarms_are_listed_without_a_state(recording: Recording) -> None:
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:ConnectMessageSender-dev-DeadLetters"

    shown = texts(drawn(recording, widget("alarm", {"title": "Alarms", "alarms": [arn]})))

    assert "DeadLetters" in shown
    assert "Alarms (evaluated by CloudWatch only)" in shown


def test_text_is_wrapped_without_its_markup(recording: Recording) -> None:
    text = f"# Name\n**Quota**: {'average per minute ' * 9}"

    shown = texts(drawn(recording, widget("text", {"markdown": text})))

    assert "Name" in shown
    assert sum("average" in line for line in shown) > 1
    assert not any("*" in line for line in shown)
