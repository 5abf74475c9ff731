"""Send a message by each event source of a deployed stack to Amazon Connect, and compare the outcomes.

Variables, of `make smoke` or of the environment:

    CONNECT_INSTANCE, CONTACT_FLOW   the Amazon Connect instance, and the flow to start a chat with
    CONNECTION_TOKEN                 use this open chat instead of starting one
    CONNECT_REGION                   the Region of the instance; by default the stack's
    STAGE                            the stack is ConnectMessageSender-STAGE; dev by default
    SOURCES                          some of queue,event,direct,workflow,api,api-sync; by default all
    API_URL                          the address of the HTTP API; by default the stack's output ApiUrl
    LONG=1                           also repeats a ClientToken after 1 and 10 minutes

The test uses the credentials, Region and endpoints of your environment, as any AWS SDK does. See
docs/smoke-test.md for the permissions that it needs.

`run` opens a `chat`, sends with the producer, waits for the results, lets `observations` send messages
without the stack, and ends the chat. `report` prints all of it.

The exit code is 0 if every message was sent and is in the transcript once, 1 if not, and 2 if the test could
not run.
"""
