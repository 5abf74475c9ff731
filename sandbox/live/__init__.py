"""Keep the local stack running: see it in a browser, and send to it from another terminal.

`python -m sandbox.live`, which `make sandbox` runs, prints the console's address and what the function does,
and deploys changed code. `sandbox.live.chats` and `sandbox.live.find` are for the other terminal.
"""
