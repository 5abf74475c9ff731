"""The stack on this computer: in an AWS emulator, with a participant service in the place of Amazon Connect.

Data flows one way: `demo` sends messages through a `local_stack`, `live` keeps one for others to send to, and
`dashboard` draws what one measures.
A local stack is an `emulator` without its `emulator_gaps`, the stack in it (`deployment`,
`request_validators`), the function as Lambda would run it (`lambda_runtime`), the `participant_service`, and
a consumer of the `results`. `processes` sees to it that nothing stays behind.
"""
