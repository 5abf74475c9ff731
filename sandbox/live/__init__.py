"""Keep the local stack running: send to it from another terminal, and see the results as they arrive.

`python -m sandbox.live`, which `make sandbox` runs, prints the lines to paste into another terminal
(`commands`) and each result, and deploys changed code. `sandbox.live.chats` is for the other terminal.
"""
