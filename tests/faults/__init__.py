"""The fault suite: the handler under fire, in virtual time. `python -m tests.faults` runs the long form.

`virtual_time`, `network`           what stands in for the machine: clock, threads, sockets
`queue_model`, `aws_model`          SQS by its recorded behaviours; its API, EventBridge's, the Participant Service
`lambda_model`                      Lambda: instances, event source mapping, asynchronous invocation
`weather`                           which faults strike, and how often
`traffic`                           producers, and their own record of what was accepted
`output`                            what the function writes, searched for secrets
`simulation`                        all of these around the real handler
`invariants`                        the promise, checked from the outside
`scenarios`, `controls`             named situations; and mechanisms broken on purpose
`malformed_events`                  events of no sense, for every event source
`report`                            what is printed

To add a service that the function calls: a `network.Service` under its host name in `Simulation.services`, and
the variable `AWS_ENDPOINT_URL_...` that leads there. To add a step after the run, such as a redrive: call it in a
scenario between `Simulation.run()` and the checks, and run on.
"""
