"""Commands for a deployed stack: `python -m ops --help`.

docs/how-to/redrive.md and docs/how-to/run-the-smoke-test.md describe them.

`__main__` reads the arguments. `queue_reader` receives each message once, `dead_letters` reads it, `redrive`
decides and acts by the function's own code (`lambda_src/`). `report` prints. `smoke` is the
smoke test, `stack` is what all commands share. `preflight` checks an account before a deployment, and `prune`
deletes old versions of the function.
"""
