"""The console: the local stack in a browser, with switches that break it.

`server` serves the page on loopback. `console` watches the stack, and `board` passes on what it sees. The
`life` of a message comes from its result event and log lines, as you find it on AWS. `scenarios` break the
stack and a `plain_loop` beside it, and `score` counts for both.
"""
