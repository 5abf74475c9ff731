"""The quota study: many instances of the function share one quota of SendMessage. `make quota` runs it.

It uses the models of `tests/simulation`. `senders` has the alternatives to the function, `study` runs one
scenario and counts, and `report` writes the findings.
"""
