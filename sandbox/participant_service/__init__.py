"""A local stand-in for the Amazon Connect Participant Service.

The AWS SDKs and the AWS CLI use it unmodified, through their endpoint settings. Data flows one way: `server`
(the standard library's HTTP server) receives a request, `operations` checks it, `api` applies planned faults
and writes the answer, `chats` decides. `control` is the client of the calls under `/_local`, which AWS does
not offer: they start chats and plan faults.
"""
