// The AWS SDK for JavaScript v3: the records of a batch concurrently.

import { ConnectParticipantClient, SendMessageCommand } from '@aws-sdk/client-connectparticipant'
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'

const participant = new ConnectParticipantClient({})
const events = new EventBridgeClient({})

async function send(record) {
  const request = JSON.parse(record.body)
  const response = await participant.send(
    new SendMessageCommand({
      ContentType: request.ContentType,
      Content: request.Content,
      ClientToken: request.ClientToken,
      ConnectionToken: request.ConnectionToken,
    }),
  )
  console.log(`Sent message ${response.Id} to contact ${request.ContactId}`)
  return {
    EventBusName: process.env.EVENT_BUS_NAME,
    Source: 'my-sender',
    DetailType: 'Message Sent',
    Detail: JSON.stringify({
      Outcome: 'SENT',
      ClientToken: request.ClientToken,
      ContactId: request.ContactId,
      MessageId: response.Id,
      Metadata: request.Metadata,
    }),
  }
}

export async function handler(event) {
  const entries = await Promise.all(event.Records.map(send))
  for (let start = 0; start < entries.length; start += 10) {
    await events.send(new PutEventsCommand({ Entries: entries.slice(start, start + 10) }))
  }
  return { batchItemFailures: [] }
}
