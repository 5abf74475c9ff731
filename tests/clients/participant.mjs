// A participant of a chat that uses the AWS SDK for JavaScript.
//
// Reads {"participantToken", "calls": [[command, input], ...]} from standard input. Connects, then makes the calls
// one by one over that connection, unless an input has its own ConnectionToken. Writes a JSON array with the result
// of connecting and of each call: {"output"} or {"error": {"name", "isModelled", "status", "attempts"}}.

import { text } from "node:stream/consumers";
import * as sdk from "@aws-sdk/client-connectparticipant";

const { participantToken, calls } = JSON.parse(await text(process.stdin));
// Endpoint and Region come from the environment
const client = new sdk.ConnectParticipantClient();

async function call(command, input) {
  try {
    const { $metadata, ...output } = await client.send(new sdk[`${command}Command`](input));
    return { output, attempts: $metadata.attempts };
  } catch (error) {
    if (error.$metadata === undefined) throw error;
    const { name, $metadata } = error;
    const isModelled = name in sdk && error instanceof sdk[name];
    return { error: { name, isModelled, status: $metadata.httpStatusCode, attempts: $metadata.attempts } };
  }
}

const connected = await call("CreateParticipantConnection", {
  ParticipantToken: participantToken,
  Type: ["CONNECTION_CREDENTIALS"],
  ConnectParticipant: true,
});
const ConnectionToken = connected.output?.ConnectionCredentials.ConnectionToken;

const results = [connected];
for (const [command, input] of calls) {
  results.push(await call(command, { ConnectionToken, ...input }));
}
process.stdout.write(JSON.stringify(results));
