"""Benchmarks of the function and its baselines, and the study of how instances share a quota.

`make bench` measures: `figures` makes each of the `contenders` handle batches in its own process
(`processes`, `worker`) against a `stub` of the services, `cpu_profile` finds where our CPU time goes, and
`report` writes the findings.
`make quota` runs the study in `quota`. Both write into docs/explanation/benchmarks.md. `hanging_chats` is one
more study in virtual time.
"""
