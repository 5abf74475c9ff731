"""What the function costs beside what its users would write instead, and how it shares a quota.

`make bench` measures: `figures` has each of the `contenders` answer `events` in `processes` of its own,
against the `stub` of the services; `report` and `plots` write docs/benchmarks/results.md. `make quota`
simulates: `quota_simulation` runs the `quota_senders` in the virtual time of `quota_model`; `quota_report`
writes docs/benchmarks/quota.md.
"""
