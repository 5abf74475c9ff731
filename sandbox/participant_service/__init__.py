"""A stand-in for the Amazon Connect Participant Service, on loopback only.

The AWS SDKs and the AWS CLI talk to it unmodified through their endpoint settings. Data flows one way:
`server` (uvicorn) takes a request, `app` (Starlette) reads it, `api` speaks the service's wire form and
applies the faults asked for, `chats` decides. `connect_calls` are StartChatContact and StopContact, which
belong to another service of Amazon Connect. `control` is the client of the calls under `/_local`, which stand
where the trouble of a real network would.
"""
