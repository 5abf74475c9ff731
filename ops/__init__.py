"""Commands for a deployed stack: `python -m ops --help`, docs/redrive.md, docs/smoke-test.md.

`command_line` reads the arguments. `queue_reader` receives each message once, `dead_letters` reads it,
`redrive_policy` decides, and `redrive` or `republish` acts by the function's own code (`lambda_src/`).
`report` prints. `smoke` is the smoke test, `stack` is what all commands share.
"""
