"""Send a message by each event source of a deployed stack to Amazon Connect, and see what comes of it.

Variables, of `make smoke` or of the environment:

    CONNECT_INSTANCE, CONTACT_FLOW   the Amazon Connect instance and the flow that a chat is started with
    CONNECTION_TOKEN                 instead of these two: of a chat that is there already, and is not ended
    CONNECT_REGION                   where the instance is, if not in the stack's Region
    STAGE                            the stack is ConnectMessageSender-STAGE; dev unless given
    SOURCES                          some of queue,event,direct,workflow,api,api-sync; all unless given
    API_URL                          where the API is reached, if not at the stack's output ApiUrl
    LONG=1                           repeats a ClientToken after 1 and 10 minutes, too

Credentials, Region and endpoints are those of any program that uses an AWS SDK. What they must permit is in
docs/smoke-test.md.

Data flows one way: `settings` and `deployment` say what is there; `run` opens a `chat`, sends through the
`sources`, waits for the `results`, has the chat's service observed (`observations`) and ends the chat;
`report` prints it.

The exit code is 0 if every message was sent, and is in the transcript once; 1 if not; 2 if the test could not
run.
"""
