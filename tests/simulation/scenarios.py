"""Named situations, each with its own checks in addition to the invariants.

A scenario is a function of a seed. It returns the violations by check. Bounds are in virtual seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from message_sender.retry import MAX_REDELIVERY_DELAY
from ops.dead_letters import DeadLetterQueue
from sandbox.participant_service.faults import Latency, Status
from tests.simulation.accepted import NUMBER, Route
from tests.simulation.contact_centre import open_contact_centre
from tests.simulation.fault_profiles import ALL_FAULTS, RARE_FAULTS, Fault, FaultProfile
from tests.simulation.function import RETRY_WINDOW_MINUTES
from tests.simulation.hits import faults_by_message
from tests.simulation.invariants import Observations, Violations, violations
from tests.simulation.models.clock import START
from tests.simulation.models.lambda_service import FUNCTION_TIMEOUT
from tests.simulation.simulation import VISIBILITY_TIMEOUT, Setup, Simulation
from tests.simulation.workload import Plan, Workload, random_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.simulation.accepted import Accepted, Chat

_POISON: Final[dict[str, Any]] = {"Metadata": {"note": "poison"}}
_MESSAGES_A_POISON: Final = 4_000
_CHATS_A_POISON: Final = 6
"""Where rare faults are frequent."""
_AGE_IN_THE_MIX: Final = RETRY_WINDOW_MINUTES + 2
"""Minutes: longer than the retry window, so that messages fail too."""
_MOST_ROUNDS: Final = 5
_FEW: Final = 3
_VISIBLE_AGAIN: Final = 901.0
"""Seconds until messages that an interrupted run of an operator has received are visible again."""

Scenario: TypeAlias = Callable[[object], dict[str, Violations]]

_QUEUED: Final = {Route.QUEUE: 1.0}

_RETRY_WINDOW: Final = RETRY_WINDOW_MINUTES * 60.0
AT_ONCE: Final = 2.0
"""The most seconds that a message takes without a fault and without a predecessor."""

RECOVERY: Final = MAX_REDELIVERY_DELAY + FUNCTION_TIMEOUT
"""The most seconds from the end of a fault until its chats continue: one backoff and one batch."""

SHARED_BATCH: Final = FUNCTION_TIMEOUT + AT_ONCE
"""The most seconds by which other chats delay a chat: the batch that its last message shared with them."""

_LATE: Final = 11.0
"""Seconds after the age at which a first part still appears: the tolerance for clocks, and one attempt."""

LONGEST_WAIT_AMONG_HANGING: Final = 6.0
"""Seconds: one read timeout plus one second.

While one chat in ten hangs, 99 of 100 messages of the other chats wait less.
"""


def mix(
    seed: object,
    *,
    messages: int = 500,
    chats: int = 30,
    operators: bool = True,
    rare: bool = False,
    workload: Workload = random_messages,
    outcome_lookup: bool = True,
) -> Simulation:
    """Run every fault at once, with fault bursts, for hours. Then operators handle the dead letters.

    Args:
        operators: Whether they handle the dead letters.
        rare: Whether the faults that are rare in other mixes are frequent in this one, so that they meet.
        workload: Sends the messages.
        outcome_lookup: Whether results are stored. That takes a quarter of all calls.
    """
    simulation = Simulation(
        Setup(
            seed=seed,
            profile=ALL_FAULTS | RARE_FAULTS if rare else ALL_FAULTS,
            poison=_is_poison,
            maximum_age_minutes=_AGE_IN_THE_MIX,
            outcome_lookup=outcome_lookup,
        )
    )
    seconds = messages / 4
    workload(simulation, messages=messages, chats=chats, seconds=seconds, rare=rare)
    random, time, injector = simulation.injector.random, simulation.time, simulation.injector
    bursts: list[tuple[FaultProfile, float]] = [
        ({Fault.THROTTLED: 0.8}, 60),
        ({Fault.SERVER_ERROR: 0.9}, 120),
        ({Fault.REFUSED: 0.9}, 40),
        ({Fault.SLOW: 0.5}, 40),
        ({Fault.CUT: 0.5}, 40),
        ({Fault.BUS_FAILS: 1.0}, 60),
        ({Fault.BUS_FAILS: 1.0, Fault.QUEUE_FAILS: 0.9}, 30),
        ({Fault.VISIBILITY_FAILS: 0.9}, 60),
        ({Fault.KEY_UNUSABLE: 1.0}, 60),
        ({Fault.CRASH: 0.3}, 60),
        ({Fault.CUT_OFF: 0.3}, 60),
        ({Fault.LOST_ACKNOWLEDGEMENT: 0.5}, 60),
    ]
    begins = 0.0
    while begins < seconds:
        profile, lasts = random.choice(bursts)
        time.after(begins, partial(injector.burst, profile, seconds=lasts))
        begins += lasts + random.uniform(10, 60)
    for chat in simulation.producers.chats:
        if random.random() < (
            0.15 if rare else 0.04
        ):  # so long that the retries of its messages are exhausted
            down = partial(
                simulation.participant.faults.add,
                Status(status=503),
                contact_id=chat.contact_id,
                times=None,
            )
            time.after(random.uniform(0, seconds), down)
    for _ in range(int(seconds // 600) + 1):
        at = random.uniform(0, seconds)
        time.after(at, partial(simulation.participant.throttle.set, 3, burst=5))
        time.after(at + 90, simulation.participant.throttle.off)
    poisoned = [random.choice(simulation.producers.chats) for _ in range(messages // _MESSAGES_A_POISON + 1)]
    if rare:  # each in its own chat: one after the other, they would outlive the connection tokens
        poisoned = simulation.producers.chats[::_CHATS_A_POISON]
    for chat in poisoned:
        time.after(random.uniform(0, seconds), partial(simulation.producers.send, chat, **_POISON))
    simulation.run()
    if operators:
        handle_dead_letters(simulation)
    return simulation


def handle_dead_letters(simulation: Simulation) -> None:
    """Make operators handle all dead letters, in three steps.

    First they redrive the younger half of the dead letters without an outcome, while some chats still fail.
    Then they finalize the older half. At last all faults are repaired, and they redrive everything, as often
    as needed.
    """
    operator = simulation.operator
    simulation.function.poison = lambda _: False
    without_outcome = [
        *(message for message in simulation.dead_letters.messages if message.source_queue is not None),
        *simulation.events_dead_letters.messages,
    ]
    middle = median([message.enqueued_at for message in without_outcome] or [0.0])
    for finalize in (False, True):
        young = timedelta(seconds=simulation.time.epoch() - middle)
        operator.carry_out(
            [
                operator.redrive(DeadLetterQueue.EVENTS, max_age=young, finalize=finalize),
                operator.redrive(DeadLetterQueue.DEAD_LETTER, max_age=young, finalize=finalize),
            ]
        )
        simulation.run()
    simulation.participant.faults.clear()
    for _ in range(_MOST_ROUNDS):
        simulation.time.after(_VISIBLE_AGAIN, lambda: None)
        simulation.run()
        operator.carry_out(
            [
                operator.redrive(DeadLetterQueue.EVENTS),
                operator.redrive(DeadLetterQueue.DEAD_LETTER, resend_parts=True),
                operator.redrive(DeadLetterQueue.DEAD_LETTER, finalize=True, resend_parts=True),
            ]
        )
        simulation.run()
        if not _has_dead_letters(simulation):
            break
    simulation.dead_letters_handled = True


def _has_dead_letters(simulation: Simulation) -> bool:
    """Return whether an operator sees dead letters. Expired messages stay."""
    queues = (simulation.dead_letters, simulation.events_dead_letters)
    return any(queue.messages for queue in queues)


def _is_poison(event: Mapping[str, object]) -> bool:
    return "poison" in json.dumps(event)


def random_mix(seed: object) -> dict[str, Violations]:
    """Many messages, many chats, every fault: the promise holds before operators act, and afterwards."""
    simulation = mix(seed, operators=False)
    found = violations(Observations.of(simulation))
    handle_dead_letters(simulation)
    return found | _found(simulation)


def outage(seed: object) -> dict[str, Violations]:
    """The service is down for five minutes: no message fails, and all chats continue soon afterwards."""
    simulation = Simulation(Setup(seed=seed))
    routes = {Route.QUEUE: 4.0, Route.BUS: 1.0}
    simulation.producers.carry_out(
        Plan(messages=120, chats=24, seconds=200, invalid=0, ending=0, routes=routes)
    )
    simulation.injector.burst({Fault.SERVER_ERROR: 1.0}, seconds=300)
    simulation.run()

    late = [message for message in _all(simulation) if _ended_at(simulation, message) > 300 + RECOVERY]
    return _found(
        simulation,
        {
            "no failure": _not_sent(simulation),
            "recovery": [
                f"message {message.number} ended more than {RECOVERY:.0f} s after the outage"
                for message in late
            ],
        },
    )


def failing_service(seed: object) -> dict[str, Violations]:
    """Six of ten calls fail: messages are redelivered often, and their chats keep their order."""
    simulation = Simulation(Setup(seed=seed, profile={Fault.SERVER_ERROR: 0.6}))
    plan = Plan(messages=100, chats=10, seconds=60, long=0, ending=0, routes={Route.QUEUE: 1})
    simulation.producers.carry_out(plan)
    simulation.run()

    return _found(simulation, {"no failure": _not_sent(simulation)})


def long_texts(seed: object) -> dict[str, Violations]:
    """Calls and invocations fail between the parts of long texts, and messages of other kinds follow them."""
    profile: FaultProfile = {
        Fault.SERVER_ERROR: 0.3,
        Fault.CUT: 0.1,
        Fault.CRASH: 0.02,
        Fault.LOST_ACKNOWLEDGEMENT: 0.02,
    }
    simulation = Simulation(Setup(seed=seed, profile=profile))
    routes = {Route.QUEUE: 8.0, Route.BUS: 1.0, Route.DIRECT: 1.0}
    plan = Plan(messages=120, chats=10, seconds=120, invalid=0, long=0.5, ending=0, routes=routes)
    simulation.producers.carry_out(plan)
    simulation.run()

    seen = Observations.of(simulation)
    between = [
        result
        for result in seen.published
        if result["ReceiveCount"] > 1 and len((result["Message"] or {}).get("Parts", ())) > 1
    ]
    return _found(
        simulation, {"faults": [] if len(between) > 5 else ["hardly a long text was received again"]}
    )


def throttling(seed: object) -> dict[str, Violations]:
    """Messages arrive at three times the quota: no message fails, all are sent."""
    simulation = Simulation(Setup(seed=seed))
    simulation.participant.throttle.set(10, burst=15)
    simulation.producers.carry_out(
        Plan(messages=300, chats=60, seconds=10, invalid=0, ending=0, routes={Route.QUEUE: 1})
    )
    simulation.run()

    return _found(simulation, {"no failure": _not_sent(simulation)})


def long_text_at_a_low_rate(seed: object) -> dict[str, Violations]:
    """Instances have learned a rate too low for all parts of a text: they send them without many receives."""
    simulation = Simulation(Setup(seed=seed, concurrency=50))
    producers, time = simulation.producers, simulation.time
    simulation.injector.burst({Fault.THROTTLED: 0.5}, seconds=120)
    producers.carry_out(Plan(messages=150, chats=60, seconds=100, invalid=0, ending=0, routes=_QUEUED))
    texts: list[Accepted] = []
    for minute in range(3, 11):
        time.after(60.0 * minute, lambda: texts.append(producers.send_long(producers.start_chat())))
    simulation.run()

    waits = [_ended_at(simulation, message) - message.at for message in texts]
    late = [f"{wait:.0f} s" for wait in waits if wait > 2 * FUNCTION_TIMEOUT]
    return _found(
        simulation,
        {"no failure": _not_sent(simulation), "soon": late if len(late) > 1 else []},
    )


def retries_exhausted(seed: object) -> dict[str, Violations]:
    """One chat fails for half an hour: its messages fail at the end of the retry window."""
    simulation = Simulation(Setup(seed=seed))
    producers = simulation.producers
    broken, sound = producers.start_chat(), producers.start_chat()
    simulation.participant.faults.add(Status(status=500), contact_id=broken.contact_id, times=None)
    failing = [producers.send(broken) for _ in range(3)]
    producers.send(sound)
    simulation.time.after(1800, simulation.participant.faults.clear)
    simulation.run()

    longest = _RETRY_WINDOW + MAX_REDELIVERY_DELAY + 2 * FUNCTION_TIMEOUT
    return _found(
        simulation,
        {
            "in time": [
                f"message {message.number} did not fail in time"
                for message in failing
                if not _RETRY_WINDOW < _ended_at(simulation, message) <= longest
            ]
        },
    )


def unusable_key(seed: object) -> dict[str, Violations]:
    """The key of sealed tokens is disabled for half an hour: only messages with such a token wait or fail."""
    simulation = Simulation(Setup(seed=seed))
    producers = simulation.producers
    sealed, clear = producers.start_chat(), producers.start_chat()
    simulation.injector.burst({Fault.KEY_UNUSABLE: 1.0}, seconds=1800)
    failing, sound = [], []
    for second in range(3):
        failing.append(producers.send(sealed, ConnectionToken=producers.sealed_token(sealed)))
        simulation.time.after(float(second), lambda: sound.append(producers.send(clear)))
    late: list[Accepted] = []
    simulation.time.after(
        1700.0, lambda: late.append(producers.send(sealed, ConnectionToken=producers.sealed_token(sealed)))
    )
    simulation.run()

    seen = Observations.of(simulation)
    longest = _RETRY_WINDOW + MAX_REDELIVERY_DELAY + 2 * FUNCTION_TIMEOUT
    return _found(
        simulation,
        {
            "in time": [
                f"message {message.number} did not fail in time"
                for message in failing
                if not _RETRY_WINDOW < _ended_at(simulation, message) <= longest
            ],
            "code": [
                f"message {message.number} has another code"
                for message in failing
                if [result["Error"]["Code"] for result in seen.results[message.client_token]]
                != ["KeyUnavailable"]
            ],
            "others": [
                f"message {message.number} without a sealed token took too long"
                for message in sound
                if _ended_at(simulation, message) > message.at + AT_ONCE
            ],
            "recovery": [
                f"message {message.number} is {seen.outcome(message.client_token)}, or late"
                for message in late
                if seen.outcome(message.client_token) != "SENT"
                or _ended_at(simulation, message) > 1800 + RECOVERY
            ],
        },
    )


def maximum_age(seed: object) -> dict[str, Violations]:
    """First the service is down, then the key: no message is sent after its age, and none expires earlier."""
    age, down = 300.0, 400.0
    simulation = Simulation(Setup(seed=seed, maximum_age_minutes=round(age / 60)))
    routes = {Route.QUEUE: 3.0, Route.BUS: 2.0}
    plan = Plan(messages=300, chats=60, seconds=2 * down, invalid=0, long=0.3, ending=0, routes=routes)
    simulation.producers.carry_out(plan)
    simulation.injector.burst({Fault.SERVER_ERROR: 1.0}, seconds=down)
    simulation.time.after(
        down + RECOVERY, partial(simulation.injector.burst, {Fault.KEY_UNUSABLE: 1.0}, seconds=down)
    )
    simulation.run()

    seen, appeared = Observations.of(simulation), _appeared_at(simulation)
    expired = [seen.accepted[token] for token in seen.expired_by_age]
    kinds = {
        "in clear": [message for message in expired if not message.sealed],
        "sealed": [message for message in expired if message.sealed],
        "long": [message for message in expired if message.lines],
        "an event": [message for message in expired if message.route is Route.BUS],
    }
    return _found(
        simulation,
        {
            "age": [
                f"message {message.number} was sent after its age"
                for message in _all(simulation)
                if appeared.get(message.number, 0.0) - message.at > age + _LATE
                and len(message.source_ids) == 1
            ],
            "kinds": [f"no message that expired is {kind}" for kind, found in kinds.items() if not found],
            "no failure": [
                f"message {seen.accepted[token].number} failed"
                for token in seen.accepted
                if seen.outcome(token) == "FAILED"
            ],
        },
    )


def poison(seed: object) -> dict[str, Violations]:
    """One message kills every invocation: SQS moves it, its chat continues, and a redrive finishes it.

    Messages in the same batches are received as often, so SQS may move them too. All others are sent.
    """
    simulation = Simulation(Setup(seed=seed, poison=_is_poison))
    producers, time = simulation.producers, simulation.time
    chat = producers.start_chat()
    deadly = producers.send(chat, **_POISON)
    companions = [producers.send(chat), producers.send(producers.start_chat())]
    others: list[Accepted] = []
    for minute in range(20):
        time.after(60 * minute + 5, lambda: others.append(producers.send(producers.start_chat())))
    for hour in (2, 3):
        time.after(3600 * hour, lambda: others.append(producers.send(chat)))
    simulation.run()

    before = Observations.of(simulation)
    found = violations(before)
    moved = {message.message_id for message in before.dead_letters if message.source_queue}
    handle_dead_letters(simulation)

    own = {
        "poison": [] if deadly.source_ids[0] in moved else ["the poison was not moved"],
        "companions": [
            f"message {message.number} is lost"
            for message in companions
            if message.source_ids[0] not in moved and before.outcome(message.client_token) != "SENT"
        ],
        "chat continues": [
            f"message {message.number} is {before.outcome(message.client_token)}"
            for message in others
            if before.outcome(message.client_token) != "SENT"
        ],
        "redrive": _not_sent(simulation),
    }
    return found | _found(simulation, own)


def redriven(seed: object) -> dict[str, Violations]:
    """Redrives that fail and are interrupted still send each message of every kind of dead letter once."""
    profile: FaultProfile = {
        Fault.OPERATOR_CUT_OFF: 0.4,
        Fault.DEAD_LETTER_CALL_FAILS: 0.2,
        Fault.DEAD_LETTER_CALL_TIMES_OUT: 0.1,
        Fault.QUEUE_FAILS: 0.4,
        Fault.QUEUE_TIMES_OUT: 0.1,
        Fault.BUS_FAILS: 0.2,
    }
    simulation = Simulation(Setup(seed=seed, profile=profile, poison=_is_poison))
    producers = simulation.producers
    broken, *deadly = (producers.start_chat() for _ in range(6))
    simulation.participant.faults.add(Status(status=500), contact_id=broken.contact_id, times=None)
    for number in range(8):
        producers.send(broken, **_named(broken, number))
    simulation.run()  # the retries of these are exhausted; those that follow kill the function
    for chat in deadly:
        for number in range(4):
            producers.send(chat, **_named(chat, number), **_POISON)
    producers.send(deadly[0], Route.BUS, **_POISON)
    simulation.run(until=simulation.time.monotonic() + 1)
    simulation.injector.burst({Fault.INVOCATION_THROTTLED: 1.0}, seconds=30)
    producers.send(deadly[1], Route.BUS)
    simulation.run()

    before = Observations.of(simulation)
    kinds = {
        "a failed message": [message for message in before.dead_letters if message.source_queue is None],
        "moved by SQS": [message for message in before.dead_letters if message.source_queue],
        "an event that failed": [
            message for message in before.events_dead_letters if "requestPayload" in message.body
        ],
        "an event that was not delivered": [
            message for message in before.events_dead_letters if message.attributes
        ],
    }
    handle_dead_letters(simulation)

    numbers = Observations.of(simulation).transcripts[broken.contact_id]
    return _found(
        simulation,
        {
            "order of the redrive": []
            if list(numbers) == sorted(numbers)
            else [f"the messages appear as {numbers}"],
            "kinds": [f"no dead letter is {kind}" for kind, found in kinds.items() if not found],
            "redrive": _not_sent(simulation),
        },
    )


def _named(chat: Chat, number: int) -> dict[str, Any]:
    """Return a ClientToken for each second message."""
    return {"ClientToken": f"own-{chat.number}-{number}"} if number % 2 else {}


def waiting_tasks(seed: object) -> dict[str, Violations]:
    """Tasks wait for messages that are sent, that fail, or that are so late that they are sent again."""
    profile: FaultProfile = {
        Fault.TASK_ANSWER_FAILS: 0.2,
        Fault.TASK_ANSWER_TIMES_OUT: 0.1,
        Fault.SENT_AGAIN: 0.2,
        Fault.UNKNOWN_TASK: 0.05,
        Fault.CUT: 0.1,
    }
    simulation = Simulation(Setup(seed=seed, profile=profile))
    producers, time, random = simulation.producers, simulation.time, simulation.injector.random
    broken, late, *sound = (producers.start_chat() for _ in range(8))
    for chat, times in ((broken, None), (late, 20)):
        simulation.participant.faults.add(Status(status=503), contact_id=chat.contact_id, times=times)
    for _ in range(8):
        time.after(random.uniform(0, 30), partial(producers.send_and_wait, broken))
        time.after(random.uniform(0, 30), partial(producers.send_and_wait, late, timeout=20.0))
    for _ in range(40):
        send = partial(producers.send_and_wait, random.choice(sound))
        time.after(random.uniform(0, 300), send)
    simulation.run()

    waits = Observations.of(simulation).waits
    endings = {
        "SendTaskSuccess": [wait for wait in waits if wait.task.answer and "output" in wait.task.answer[1]],
        "SendTaskFailure": [wait for wait in waits if wait.task.answer and "error" in wait.task.answer[1]],
        "a timeout": [wait for wait in waits if wait.task.timed_out_at is not None],
    }
    return _found(
        simulation,
        {"endings": [f"no task ended with {ending}" for ending, found in endings.items() if not found]},
    )


def cut_off(seed: object, *, idempotency_window: float | None = None) -> dict[str, Violations]:
    """Many invocations are cut off within a batch: no message is lost, none appears twice."""
    simulation = Simulation(
        Setup(
            seed=seed,
            profile={Fault.CUT_OFF: 0.25, Fault.CRASH: 0.25},
            idempotency_window=idempotency_window,
        )
    )
    plan = Plan(messages=150, chats=20, seconds=60, ending=0, routes={Route.QUEUE: 1})
    simulation.producers.carry_out(plan)
    simulation.run()

    return _found(simulation, {"no failure": _not_sent(simulation)})


def forgetful_service(seed: object) -> dict[str, Violations]:
    """The same, with a service that forgets a ClientToken before the message is redelivered."""
    return cut_off(seed, idempotency_window=VISIBILITY_TIMEOUT / 3)


def chats_with_faults(seed: object) -> dict[str, Violations]:
    """Some chats are slow and fail: they delay the others by at most the batch that they share.

    A chat with one message is not delayed at all: it shares a batch, but has no predecessor. A chat with
    several messages may wait for the batch of the predecessor.
    """
    simulation = Simulation(Setup(seed=seed))
    producers, random, time = simulation.producers, simulation.injector.random, simulation.time
    busy, failing = ([producers.start_chat() for _ in range(10)] for _ in range(2))
    for chat in failing:
        fault = random.choice([Latency(latency=4.5), Latency(latency=30), Status(status=503, latency=2)])
        simulation.participant.faults.add(fault, contact_id=chat.contact_id, times=None)
    bounds: list[tuple[Accepted, float]] = []

    def send(seconds: float, chat: Chat) -> None:
        bounds.append((producers.send(chat), seconds))

    for _ in range(100):
        at = random.uniform(0, 120)
        time.after(at, partial(send, AT_ONCE, producers.start_chat()))
        time.after(at, partial(send, SHARED_BATCH, random.choice(busy)))
        time.after(at, partial(producers.send, random.choice(failing)))
    simulation.run()

    appeared = _appeared_at(simulation)
    return _found(
        simulation,
        {
            "delay": [
                f"message {message.number} waited {waited:.1f} s for others"
                for message, bound in bounds
                if (waited := appeared.get(message.number, float("inf")) - message.at) > bound
            ]
        },
    )


def with_hanging_chats(
    seed: object, hanging: int, *, rate: int = 20, seconds: int = 30, quota: int | None = None
) -> tuple[Simulation, list[float]]:
    """Send to 200 chats with ten instances, while the service never answers for some of the chats.

    In half of these chats it delivers the message all the same. Messages become visible each half second, so
    that batches mix chats.

    Args:
        hanging: The number of chats that hang.
        rate: Messages per second.
        quota: Of the service, in calls per second. None: no limit.

    Returns:
        The simulation, and the seconds from acceptance to arrival of each message of the other chats.
    """
    simulation = Simulation(Setup(seed=seed, concurrency=10))
    producers, random, time = simulation.producers, simulation.injector.random, simulation.time
    if quota is not None:
        simulation.participant.throttle.set(quota, burst=quota + quota // 2)
    chats = [producers.start_chat() for _ in range(200)]
    for chat in chats[:hanging]:
        fault = Latency(latency=60) if chat.number % 2 else Status(status=503, latency=60)
        simulation.participant.faults.add(fault, contact_id=chat.contact_id, times=None)
    for _ in range(rate * seconds):
        time.after(random.randrange(2 * seconds) / 2, partial(producers.send, random.choice(chats)))
    simulation.run()

    appeared = _appeared_at(simulation)
    others = [message for message in _all(simulation) if message.chat.number >= hanging]
    return simulation, sorted(appeared.get(message.number, float("inf")) - message.at for message in others)


def hanging_chats(seed: object) -> dict[str, Violations]:
    """One chat in ten hangs: 99 of 100 messages of the other chats wait less than 6 seconds."""
    simulation, waits = with_hanging_chats(seed, 20)

    too_long = sum(wait > LONGEST_WAIT_AMONG_HANGING for wait in waits)
    few = too_long <= len(waits) / 100
    return _found(
        simulation,
        {"delay": [] if few else [f"{too_long} of {len(waits)} messages of other chats waited too long"]},
    )


def slow_service(seed: object) -> dict[str, Violations]:
    """Every answer is slow: messages that do not fit into an invocation are redelivered."""
    simulation = Simulation(Setup(seed=seed, profile={Fault.BUS_FAILS: 0.5, Fault.QUEUE_FAILS: 0.3}))
    simulation.participant.faults.add(Latency(latency=4.6), times=None)
    plan = Plan(messages=60, chats=6, seconds=20, ending=0, routes={Route.QUEUE: 1})
    simulation.producers.carry_out(plan)
    simulation.run()

    return _found(simulation)


def slow_long_texts(seed: object) -> dict[str, Violations]:
    """Long texts wait behind others of their chat for longer than the retry window: none of them fails.

    Each has time in an invocation of its own, but not behind other messages in the same batch.
    """
    simulation = Simulation(Setup(seed=seed))
    simulation.participant.faults.add(Latency(latency=1.5), times=None)
    plan = Plan(messages=300, chats=1, seconds=1, burst=300, invalid=0, long=0.4, ending=0, routes=_QUEUED)
    simulation.producers.carry_out(plan)
    simulation.run()

    deferred = [
        result["ReceiveCount"]
        for at, result in simulation.bus.results
        if at > _RETRY_WINDOW and len((result["Message"] or {}).get("Parts", ())) > 1
    ]
    return _found(
        simulation,
        {
            "no failure": _not_sent(simulation),
            "waited": [] if sum(count > 1 for count in deferred) > _FEW else ["hardly a long text waited"],
        },
    )


def no_way_to_copy(seed: object) -> dict[str, Violations]:
    """SQS refuses the copies of rejected messages for eight minutes: none becomes a dead letter."""
    lasts = 480.0
    simulation = Simulation(Setup(seed=seed))
    simulation.injector.burst({Fault.QUEUE_FAILS: 1.0}, seconds=lasts)
    plan = Plan(messages=60, chats=15, seconds=30, invalid=0.3, ending=0, routes=_QUEUED)
    simulation.producers.carry_out(plan)
    simulation.run()

    ended = {message.number: _ended_at(simulation, message) for message in _all(simulation)}
    invalid = [ended[message.number] for message in _all(simulation) if message.code is not None]
    return _found(
        simulation,
        {
            "recovery": [
                f"message {number} ended more than {RECOVERY:.0f} s after the outage"
                for number, at in ended.items()
                if at > lasts + RECOVERY
            ],
            "waited": [] if invalid and min(invalid) > lasts else ["a message was rejected without a copy"],
        },
    )


def no_way_to_publish(seed: object) -> dict[str, Violations]:
    """Neither bus nor queue accepts results for a minute: the messages are redelivered until one does."""
    simulation = Simulation(Setup(seed=seed))
    simulation.injector.burst({Fault.BUS_FAILS: 1.0, Fault.QUEUE_FAILS: 1.0}, seconds=60)
    simulation.producers.carry_out(
        Plan(messages=40, chats=10, seconds=30, ending=0, routes={Route.QUEUE: 3, Route.BUS: 1})
    )
    simulation.run()

    return _found(simulation)


def bus_outage(seed: object) -> dict[str, Violations]:
    """The bus is down for 20 minutes: every message is sent, and its result is published soon afterwards."""
    simulation = Simulation(Setup(seed=seed, profile={Fault.CRASH: 0.02, Fault.LOST_ACKNOWLEDGEMENT: 0.02}))
    simulation.injector.burst({Fault.BUS_FAILS: 1.0}, seconds=1200)
    routes = {Route.QUEUE: 3.0, Route.BUS: 1.0, Route.DIRECT: 1.0}
    simulation.producers.carry_out(Plan(messages=150, chats=20, seconds=600, ending=0, routes=routes))
    simulation.run()

    # A result whose acknowledgement is lost is published again later
    last = max(_ended_at(simulation, message) for message in _all(simulation))
    latest = 1200 + 2 * VISIBILITY_TIMEOUT + 2 * FUNCTION_TIMEOUT
    return _found(
        simulation,
        {
            "no failure": _not_sent(simulation),
            "unpublished": [] if simulation.unpublished.accepted else ["no result was unpublished"],
            "soon": [] if last < latest else [f"the last result was published after {last:.0f} s"],
        },
    )


def outcome_lookup(seed: object) -> dict[str, Violations]:
    """Results are repeated, overtake each other and contradict: the table has the best of each message."""
    profile: FaultProfile = {
        Fault.CUT_OFF: 0.1,
        Fault.CRASH: 0.1,
        Fault.LOST_ACKNOWLEDGEMENT: 0.2,
        Fault.DELIVERED_TWICE: 0.2,
        Fault.EVENT_TWICE: 0.3,
        Fault.INVOCATION_THROTTLED: 0.1,
        Fault.SERVER_ERROR: 0.2,
    }
    simulation = Simulation(Setup(seed=seed, profile=profile, outcome_lookup=True))
    simulation.producers.carry_out(Plan(messages=300, chats=30, seconds=200))
    simulation.run()

    results = Observations.of(simulation).results.values()
    contradict = any(len({result["Outcome"] for result in each}) > 1 for each in results)
    return _found(simulation, {"contradictions": [] if contradict else ["no results contradict each other"]})


def contact_centre(seed: object) -> dict[str, Violations]:
    """Everybody at a contact centre acts as the how-tos say, while six of ten calls fail."""
    simulation = Simulation(Setup(seed=seed, profile={Fault.SERVER_ERROR: 0.6}))
    open_contact_centre(simulation, messages=800, chats=60, seconds=400)
    simulation.run()

    return _found(simulation)


def killed_after_a_lost_answer(seed: object) -> dict[str, Violations]:
    """The answer to a delivered message is lost, and the function is killed before it publishes a result."""
    simulation = Simulation(Setup(seed=seed))
    simulation.injector.burst({Fault.CUT: 1.0, Fault.CRASH: 0.7}, seconds=5)
    plan = Plan(
        messages=160, chats=40, seconds=10, invalid=0, ending=0, routes={Route.QUEUE: 4, Route.BUS: 1}
    )
    simulation.producers.carry_out(plan)
    simulation.run()

    own = {"no failure": _not_sent(simulation), "met": _met(simulation, Fault.CUT, Fault.CRASH)}
    return _found(simulation, own)


def throttled_until_the_chat_ends(seed: object) -> dict[str, Violations]:
    """Messages are throttled, and their chat ends before the service accepts them: all are rejected."""
    simulation = Simulation(Setup(seed=seed))
    producers, time = simulation.producers, simulation.time
    ending, other = ([producers.start_chat() for _ in range(12)] for _ in range(2))
    simulation.injector.burst({Fault.THROTTLED: 1.0}, seconds=60)
    late = [producers.send(chat) for chat in ending for _ in range(3)]
    sound = [producers.send(chat) for chat in other for _ in range(3)]
    for chat in ending:
        time.after(30, partial(producers.end, chat, expires=chat.number % 2 == 0))
    simulation.run()

    seen = Observations.of(simulation)
    return _found(
        simulation,
        {
            "rejected": [
                f"message {message.number} did not end with AccessDenied"
                for message in late
                if [
                    result["Error"] and result["Error"]["Code"]
                    for result in seen.results[message.client_token]
                ]
                != ["AccessDenied"]
            ],
            "others": [
                f"message {message.number} of a chat that goes on is late"
                for message in sound
                if not _ended_at(simulation, message) <= 60 + RECOVERY + FUNCTION_TIMEOUT  # for a slot
            ],
            "met": _met(simulation, Fault.THROTTLED, Fault.CHAT_ENDED)
            + _met(simulation, Fault.THROTTLED, Fault.TOKEN_EXPIRED),
        },
    )


def unpublished_and_not_deleted(seed: object) -> dict[str, Violations]:
    """The bus refuses a result, and the message is not deleted: it is delivered again, and appears once."""
    simulation = Simulation(Setup(seed=seed))
    simulation.injector.burst({Fault.BUS_FAILS: 1.0, Fault.LOST_ACKNOWLEDGEMENT: 1.0}, seconds=60)
    plan = Plan(messages=80, chats=20, seconds=30, invalid=0, ending=0, routes={Route.QUEUE: 1})
    simulation.producers.carry_out(plan)
    simulation.run()

    seen = Observations.of(simulation)
    return _found(
        simulation,
        {
            "no failure": _not_sent(simulation),
            "two results": [
                f"message {seen.accepted[token].number} has one result"
                for token, faults in faults_by_message(simulation).items()
                if faults >= {Fault.BUS_FAILS, Fault.LOST_ACKNOWLEDGEMENT} and len(seen.results[token]) < 2
            ],
            "met": _met(simulation, Fault.BUS_FAILS, Fault.LOST_ACKNOWLEDGEMENT),
        },
    )


def no_copy_and_killed(seed: object) -> dict[str, Violations]:
    """SQS refuses the copies of rejected messages, and the function is killed: at last each has a copy."""
    simulation = Simulation(Setup(seed=seed))
    simulation.injector.burst({Fault.QUEUE_FAILS: 1.0, Fault.CRASH: 0.5}, seconds=30)
    plan = Plan(
        messages=80, chats=20, seconds=20, invalid=0.5, ending=0, routes={Route.QUEUE: 4, Route.BUS: 1}
    )
    simulation.producers.carry_out(plan)
    simulation.run()

    rejected = {copy.attributes.get("ClientToken") for copy in simulation.rejected.messages}
    return _found(
        simulation,
        {
            "copied": [
                f"message {message.number} has no copy"
                for message in _all(simulation)
                if message.code is not None and message.client_token not in rejected
            ],
            "met": _met(simulation, Fault.QUEUE_FAILS, Fault.CRASH),
        },
    )


def _met(simulation: Simulation, one: Fault, other: Fault) -> Violations:
    """Return a violation if hardly a message was hit by both faults: then the situation did not arise."""
    met = sum(faults >= {one, other} for faults in faults_by_message(simulation).values())
    return [] if met > _FEW else [f"only {met} messages met {one} and {other}"]


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "a mix of everything": random_mix,
    "five minutes of outage": outage,
    "a service that fails six of ten calls": failing_service,
    "long texts, with faults between their parts": long_texts,
    "three times the quota": throttling,
    "a long text at a low rate": long_text_at_a_low_rate,
    "a chat that fails for longer than the retry window": retries_exhausted,
    "a key of sealed tokens that is disabled": unusable_key,
    "messages that become too old": maximum_age,
    "a message that kills the function": poison,
    "dead letters of every kind, redriven": redriven,
    "waiting tasks": waiting_tasks,
    "invocations cut off within a batch": cut_off,
    "chats beside slow and failing ones": chats_with_faults,
    "chats that hang": hanging_chats,
    "slow answers": slow_service,
    "long texts behind others of a slow chat": slow_long_texts,
    "no way to copy": no_way_to_copy,
    "no way to publish": no_way_to_publish,
    "twenty minutes without a bus": bus_outage,
    "outcomes by id": outcome_lookup,
    "a day at a contact centre": contact_centre,
    "an answer that is lost, then a killed function": killed_after_a_lost_answer,
    "throttled until the chat ends": throttled_until_the_chat_ends,
    "a result that is not published, and a lost acknowledgement": unpublished_and_not_deleted,
    "a copy that SQS refuses, and a killed function": no_copy_and_killed,
}


def _found(simulation: Simulation, own: Mapping[str, Violations] | None = None) -> dict[str, Violations]:
    """Return the violations of the invariants and of the scenario's own checks."""
    found = violations(Observations.of(simulation))
    return found | {name: violated for name, violated in (own or {}).items() if violated}


def _all(simulation: Simulation) -> Iterable[Accepted]:
    return simulation.producers.accepted.values()


def _not_sent(simulation: Simulation) -> Violations:
    """Return a violation for each valid message that was not sent."""
    seen = Observations.of(simulation)
    return [
        f"message {message.number} is {seen.outcome(message.client_token)}"
        for message in _all(simulation)
        if message.code is None and not message.expires and seen.outcome(message.client_token) != "SENT"
    ]


def _ended_at(simulation: Simulation, message: Accepted) -> float:
    """Return the moment of a message's first result on the bus, infinity if there is none."""
    return min(
        (at for at, result in simulation.bus.results if result["ClientToken"] == message.client_token),
        default=float("inf"),
    )


def _appeared_at(simulation: Simulation) -> dict[int, float]:
    """Return the moment at which each message, or its first part, appeared, by the number of its text."""
    service = simulation.participant.service
    return {
        int(found[1]): datetime.fromisoformat(item.absolute_time).timestamp() - START.timestamp()
        for chat in simulation.producers.chats
        for item in reversed(service.messages(chat.contact_id))
        if (found := NUMBER.search(str(item.content)))
    }
