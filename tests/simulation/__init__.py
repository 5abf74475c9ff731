"""The fault suite: the handler under fire, in virtual time. `python -m tests.simulation` runs the long form.

`virtual_time`, `network`           what stands in for the machine: clock, threads, sockets
`queue_model`, `aws_model`          SQS by its recorded behaviours; the APIs of SQS, bus and Step Functions
`lambda_model`                      Lambda: instances, event source mapping, asynchronous invocation
`weather`                           which faults strike, and how often
`traffic`                           producers, and their own record of what was accepted
`operator_model`                    operators, who redrive letters and republish results
`output`                            what the function writes, searched for secrets
`simulation`                        all of these around the real handler
`invariants`                        the promise, checked from the outside
`scenarios`, `controls`             named situations; and mechanisms broken on purpose
`peer`                              a boto3 loop in place of the handler, in the same weather
`malformed_events`                  events of no sense, for every event source
`report`                            what is printed

A further service that the function calls is a `network.Service` under its host name in `Simulation.services`,
and the variable `AWS_ENDPOINT_URL_...` that leads there. What operators do is a call in a scenario, between
`Simulation.run()` and the checks; then the simulation runs on.
"""
