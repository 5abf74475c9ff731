"""Work on a deployed stack: try letters again, give them their outcome, publish results that were kept.

`make redrive` looks at every letter of a queue once, says what it would do with it, and does it if told so:

    QUEUE=dead-letter        what could not be sent in time, and what SQS moved there by itself; else `events`
                             (what EventBridge or Lambda gave up) or `rejected` (which needs CODE)
    CODE=Throttled,...       only letters of these codes: the others are left
    MAX_AGE=24h              dead letters that were queued longer ago are not sent again (90m, 2h, 3d)
    MAYBE_DELIVERED=leave    what may have arrived already is not tried again
    SETTLE=yes               letters that have no outcome yet, and are not to be sent any more, get it
    DISCARD=yes              letters that have their outcome, and are too old or can never be sent, go
    DRY_RUN=no               do it. Without it nothing is changed

`make republish` publishes the results of the unpublished-results queue; it, too, needs DRY_RUN=no.

For both, STAGE names the stack: ConnectMessageSender-STAGE, dev unless given. Credentials, Region and
endpoints are those of any program that uses an AWS SDK. What they must permit is in docs/redrive.md.

Data flows one way: `settings` and the stack's outputs say what is there; `reader` receives each letter once;
`letters` reads it; `decisions` says what is to become of it; `redrive` or `republish` does it, by the
function's own code (`lambda_src/`); `report` prints it.

The exit code is 0 if everything was done; 1 if something was left because of errors, or for lack of time;
2 if the command could not run.
"""
