"""A stand-in for the Amazon Connect Participant Service, on loopback only.

The AWS SDKs talk to it unmodified through `endpoint_url`. Data flows one way: `server` (uvicorn) takes a
request, `app` (Starlette) reads it, `api` speaks the service's wire form and applies the faults asked for,
`chats` decides. `control` is the client of the calls under `/_local`, which stand where StartChatContact and
the trouble of a real network would.
"""
