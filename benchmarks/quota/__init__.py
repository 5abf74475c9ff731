"""The quota study: many instances of the function share one quota of SendMessage. `make quota` runs it.

It uses the models of `tests/simulation`. `senders` builds the function and its alternatives, `study` runs one
scenario and counts, `scenarios` lists them, and `report` writes docs/benchmarks/quota.md.
"""
