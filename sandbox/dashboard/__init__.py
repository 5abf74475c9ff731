"""Render the stack's dashboard with what a run of the local stack measured.

`python -m sandbox.dashboard` deploys the stack, sends traffic through every way in for some minutes, a burst
beyond the quota and an outage of the participant service included, and draws the deployed dashboard with it.

Measured as on AWS: every metric of the function, which are lines of its log. Derived from what can be seen
locally: the queues' depths and the age of the oldest message (queue and results), the function's invocations
(its log), the API's requests (as its client saw them), executions of the state machine. Everything else only
AWS can know, and the picture says so.
"""
