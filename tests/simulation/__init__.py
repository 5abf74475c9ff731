"""The simulation: the real handler in virtual time, while faults occur. `make simulate` runs the long form.

`models/clock`, `models/network`    the clock, the threads and the sockets
`models/sqs`, `models/aws`          SQS by its recorded behaviours; APIs of SQS, EventBridge, Step Functions
`models/lambda_service`             Lambda: instances, event source mapping, asynchronous invocation
`models/operator`                   operators, who redrive dead letters
`fault_profiles`                    the faults that occur, and how often
`workload`                          producers, who send random messages
`contact_centre`, `texts`           producers, who act as the how-tos say, and texts of many scripts
`accepted`                          the producers' own record of their messages
`capture`                           the function's output, searched for secrets
`function`                          builds the function under test
`simulation`                        all of these together
`observations`                      what is there at the end of a run
`contract`                          what the documents say: codes, limits, derived ClientTokens
`invariants`                        the promise, checked from the outside, without code of the function
`scenarios`, `mutants`              named situations, and mutation checks
`baselines`                         a boto3 loop in place of the handler, under the same faults
`limits`                            what no sender can promise, in figures; `make limits`
`malformed_events`                  malformed events for every event source
`hits`, `pairs`                     the messages that faults hit, and the pairs of faults that met
`jobs`, `pool`                      the parts of a long run, and its processes
`report`                            the tables and the report

Real retries take hours, and a failure that cannot be repeated cannot be fixed. So production code waits only
by its clock, and one thread runs at a time. `make test` uses a fixed seed, so that it fails for a change and
not by chance. A seed that shows a defect becomes a test with the fix.

To add a service that the function calls, write a `network.Service`, register it under its host name in
`Simulation.services`, and set `AWS_ENDPOINT_URL_...` in `function`. A scenario calls operators between
`Simulation.run()` and the checks, and then runs the simulation on.
"""
