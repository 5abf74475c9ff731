"""Send the messages of a file through the local stack, show what became of them, and check it.

The file has one JSON object a line. A line with a `request` is a message:

    {"chat": "alice",                          a name of your choice; each name is a chat of its own
     "through": "queue",                       the way in, see below
     "request": {"ContentType": "text/plain",  the message request; ConnectionToken is added, and the
                 "Content": "Hello"},          ContactId of the chat unless the line has one
     "expect": {"outcome": "SENT"},            the default; or {"outcome": "REJECTED", "code": ...}
     "note": "says hello"}                     optional: what the line is there to show

    "queue"     the queue                                                     in order
    "api"       the HTTP API's POST /messages, which puts it on the queue     in order
    "event"     an event on the bus
    "direct"    an invocation of the function
    "workflow"  an execution of the state machine, which invokes the function; without a ContactId
    "task"      one with a ContactId, whose task waits for the queue          in order
    "api-sync"  the HTTP API's POST /messages/sync, which invokes the function

What the HTTP API itself refuses, by either route, has no outcome that is published: its line expects
{"outcome": "REFUSED", "code": "InvalidRequest"}.

Lines are sent in the order of the file. For the outcome of the first three nobody waits; each of the others
is waited for before the next line. Lines of one chat with the same ClientToken are one message, sent more
than once.

A line without a `request` says something of a chat, the first two before its first message:

    {"chat": "carol", "ended": true}                   the chat is over when its first message comes
    {"chat": "dave", "content_types": ["text/plain"]}  what the chat accepts; all four types unless given
    {"chat": "erin", "new_token": true}                from here on, messages have a new connection token

The exit code is 0 if everything was as the file expects and as the project promises, 1 if not, and 2 if the
demo could not run.
"""
