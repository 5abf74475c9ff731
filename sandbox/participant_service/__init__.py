"""A local stand-in for the Amazon Connect Participant Service.

The AWS SDKs and the AWS CLI use it unmodified, through their endpoint settings. Data flows one way: `server`
(uvicorn) receives a request, `app` (Starlette) routes it, `api` reads and writes the wire format and applies
planned faults, `chats` decides. `connect_calls` has StartChatContact and StopContact of the `connect`
service. `control` is the client of the calls under `/_local`, which start chats and plan faults.
"""
