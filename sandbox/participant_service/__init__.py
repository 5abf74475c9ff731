"""A local stand-in for the Amazon Connect Participant Service.

The AWS SDKs and the AWS CLI use it unmodified, through their endpoint settings. Data flows one way: `server`
(the standard library's HTTP server) receives a request, `api` checks it by its `schemas` entry and applies
planned `faults`, `chats` decides. `control` is the client of the calls under `/_local`, which AWS does not
offer: they start chats and plan faults.
"""
