"""The fault suite: the handler under fire, in virtual time. `python -m tests.faults` runs the long form.

`virtual_time`, `network`           what stands in for the machine: clock, threads, sockets
`queue_model`, `aws_model`          SQS and EventBridge, by their recorded behaviours
`lambda_model`                      Lambda: instances, event source mapping, asynchronous invocation
`weather`                           which faults strike, and how often
`traffic`                           producers, and their own record of what was accepted
`simulation`                        all of these around the real handler
`invariants`                        the promise, checked from the outside
`scenarios`, `controls`             named situations; and mechanisms broken on purpose
`malformed_events`                  events of no sense, for every event source
`report`                            what is printed
"""
