"""`python -m ops preflight`: what would fail at `make deploy`, by calls that only read.

`target` says what would be deployed where. Each function in `checks` looks at one thing in the account; `run`
calls all of them, and `report` prints. `calls` is the only module that calls AWS, and names the permission of
each call.
"""
