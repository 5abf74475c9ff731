"""Send a message through each event source of a deployed stack to Amazon Connect, and check the outcome.

`run` opens a `chat`, sends with the producer, waits for the results, tests the chat's service
(`experiments`) and ends the chat. `report` prints.
"""
