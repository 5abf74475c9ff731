"""Send a message through each event source of a deployed stack to Amazon Connect, and check the outcome.

`run` opens a `chat`, sends with the producer, waits for the results, makes experiments with the service of
the chat and ends it.
"""
