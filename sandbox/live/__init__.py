"""The local stack, kept running: send to it from another terminal, and see the results as they come.

`python -m sandbox.live`, which `make sandbox` runs, prints what another terminal needs (`commands`), then
each result; and puts changed code in place (`code`). `sandbox.live.chats` is for that other terminal.
"""
