"""The stack on this computer: in an AWS emulator, with a participant service instead of Amazon Connect.

`local_stack` starts everything: the `emulator` without its `emulator_gaps`, the stack, the function in
Lambda's own runtime client (`lambda_runtime`), and the `participant_service`. `processes` ends all child
processes.

Three programs use it: `demo` sends the messages of a file, `live` keeps the stack running for you, and
`dashboard` draws the deployed dashboard with the figures of a run. `command_line` is their common part.
"""
