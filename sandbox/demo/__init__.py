"""Send the messages of a file through the local stack, show their outcomes, and check them.

The file has one JSON object a line. A line with a `request` is a message:

    {"chat": "alice",                          a name of your choice: each name is a chat
     "through": "queue",                       the event source, see below
     "request": {"ContentType": "text/plain",  the message request. The demo adds ConnectionToken, and the
                 "Content": "Hello"},          ContactId of the chat unless the line has one
     "expect": {"outcome": "SENT"},            or {"outcome": "REJECTED", "code": ...}; without it, the demo
                                               shows the outcome and does not judge it
     "sealed": true,                           optional: seal its connection token
     "age_minutes": 90,                        optional, for an event: how long ago it happened
     "note": "says hello"}                     optional: what the line shows

    "queue"     the queue                                                     in order
    "api"       the REST API's POST /messages, which puts it on the queue     in order
    "event"     an event on the bus
    "direct"    an invocation of the function
    "workflow"  an execution without a ContactId, which invokes the function
    "task"      an execution with a ContactId, whose task waits for the queue in order
    "api-sync"  the REST API's POST /messages/sync, which invokes the function

The first three only accept a message. The demo waits for the outcome of each other line before it sends the
next. A request that the REST API refuses has no published outcome: its line expects
{"outcome": "REFUSED", "code": "InvalidRequest"}. At the end, the demo looks up each outcome by its id.

Lines of one chat with the same ClientToken are one message, sent more than once. If their texts differ, only
one text appears in the chat. The demo says so at its start, in the row and below the checks.

A line without a `request` describes a chat. The first two come before its first message:

    {"chat": "carol", "ended": true}                   the chat has ended before its first message
    {"chat": "dave", "content_types": ["text/plain"]}  what the chat accepts; all four types by default
    {"chat": "erin", "new_token": true}                messages after this line have a new connection token

The exit code is 0 if everything is as the file expects and as the project promises, 1 if not, and 2 if the
demo could not run.
"""
