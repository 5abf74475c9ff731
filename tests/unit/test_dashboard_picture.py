"""A dashboard, drawn."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sandbox.dashboard.picture import draw
from sandbox.dashboard.recording import Recording, metric

NAMESPACE = "{http://www.w3.org/2000/svg}"


def widget(kind: str, y: int, **properties: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return {"type": kind, "x": 0, "y": y, "width": 8, "height": 6, "properties": properties}


def graph(**more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    depth = ["AWS/SQS", "Depth", "QueueName", "q", {"stat": "Maximum", "label": "depth", "color": "#aa0000"}]
    return widget("metric", 0, title="What waits < here?", metrics=[depth], **more)


@pytest.fixture
def recording() -> Recording:
    recording = Recording(own_namespace="stack")
    for at, value in ((0, 9.0), (10, 1.0), (20, 3.0), (40, 2.0), (50, 9.0)):
        recording.add(metric("AWS/SQS", "Depth", QueueName="q"), at, value)
    return recording


def drawn(recording: Recording, *widgets: dict[str, Any]) -> ET.Element:
    svg = draw({"widgets": list(widgets)}, recording, period=10, caption="Figures of a test")
    return ET.fromstring(svg)  # noqa: S314  # made right here


def texts(picture: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in picture.iter(f"{NAMESPACE}text")]


def test_graph_has_title_legend_and_axes(recording: Recording) -> None:
    shown = texts(drawn(recording, graph()))

    assert {"What waits < here?", "depth", "0", "2", "4", "0 min", "Figures of a test"} <= set(shown)


def test_points_of_periods_in_a_row_are_joined_and_one_alone_is_a_dot(recording: Recording) -> None:
    picture = drawn(recording, graph())

    [path] = [each for each in picture.iter(f"{NAMESPACE}path") if each.get("class") == "line"]
    [dot] = picture.iter(f"{NAMESPACE}circle")
    points = [tuple(map(float, point.split())) for point in re.split("[ML]", path.attrib["d"])[1:]]
    [(first_x, low), (second_x, high)] = points
    assert first_x < second_x < float(dot.attrib["cx"])
    assert low > float(dot.attrib["cy"]) > high, "1, 2 and 3, from the bottom up"


def test_line_of_an_annotation_is_within_the_graph_though_no_value_is_as_high(recording: Recording) -> None:
    annotation = {"value": 10, "label": "quota", "color": "#00aa00"}

    picture = drawn(recording, graph(annotations={"horizontal": [annotation]}))

    [line] = [each for each in picture.iter(f"{NAMESPACE}path") if each.get("stroke-dasharray")]
    assert line.attrib["stroke"] == "#00aa00"
    assert "quota" in texts(picture)
    assert "10" in texts(picture)


def test_graph_of_what_only_aws_knows_says_so(recording: Recording) -> None:
    unknown = [["AWS/Events", "FailedInvocations", {"stat": "Sum", "label": "failed"}]]

    shown = texts(drawn(recording, widget("metric", 0, title="Bus", metrics=unknown)))

    assert "failed (AWS only)" in shown
    assert "none" in shown


def test_alarms_are_named_without_a_state_that_nobody_has_evaluated(recording: Recording) -> None:
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:ConnectMessageSender-dev-DeadLetters"

    shown = texts(drawn(recording, widget("alarm", 0, title="Alarms", alarms=[arn])))

    assert "DeadLetters" in shown
    assert any("no state here" in text for text in shown)


def test_text_is_wrapped_and_keeps_what_is_bold(recording: Recording) -> None:
    picture = drawn(recording, widget("text", 0, markdown=f"# Name\n**Quota**: {'means of a minute ' * 9}"))

    bold = [span.text for span in picture.iter(f"{NAMESPACE}tspan")]
    assert bold == ["Quota"]
    assert "Name" in texts(picture)
    assert sum("means" in text for text in texts(picture)) > 1
