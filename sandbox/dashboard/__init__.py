"""Draw the stack's dashboard with the data of a local run.

`python -m sandbox.dashboard` deploys the stack and sends traffic through every event source for some minutes,
with a burst above the quota and an outage of the participant service. Then it draws the deployed dashboard.

Measured as on AWS: every metric of the function, since these are lines of its log. Derived from local
observation: queue depths and the age of the oldest message (queues and results), the function's invocations
(its log), API requests (the client's view), and executions of the state machine. The picture marks the
metrics that only AWS has.
"""
