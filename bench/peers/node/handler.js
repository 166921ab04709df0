// The job of one SQS batch: counts a message for each of its recipients and pushes it, with the new badge, to all their devices.

import { createHash } from 'node:crypto';
import { Agent } from 'node:http';

import { DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';

import { MOST, isRetryable, send } from './fcm.js';

/** Updates under way at once, each on its own connection. More of them take more CPU time and no less time: one thread is busy anyway. */
const UPDATES = 32;
const TABLE = process.env.TABLE_RECIPIENTS;
const ONE = { N: '1' };

// Region and credentials are told: the client need not load the chains of providers that look for them.
const dynamodb = new DynamoDBClient({
  region: process.env.AWS_REGION,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID,
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
    sessionToken: process.env.AWS_SESSION_TOKEN,
  },
  endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB ?? process.env.AWS_ENDPOINT_URL,
  cacheMiddleware: true,
  requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: UPDATES }) },
});

export async function handler({ Records: records }) {
  const failed = new Set();
  const outbox = new Outbox(failed);
  const jobs = recipients(records, failed);
  await Promise.all(Array.from({ length: UPDATES }, () => work(jobs, outbox, failed)));
  await outbox.empty();
  return { batchItemFailures: Array.from(failed, (itemIdentifier) => ({ itemIdentifier })) };
}

/** Every recipient of every record. */
function* recipients(records, failed) {
  for (const { messageId, body } of records) {
    let chunk;
    try {
      chunk = prepare(JSON.parse(body));
    } catch (error) {
      report(error);
      failed.add(messageId);
      continue;
    }
    for (const client of chunk.to) yield { record: messageId, chunk, client };
  }
}

/** What all recipients of a record have in common. */
function prepare({ message: { origin, text, data }, to }) {
  const hash = createHash('sha256').update(origin.room).digest('hex').slice(0, 8);
  return {
    app: origin.app,
    id: origin.message,
    names: { '#u': `u#${hash}` },
    notification: { title: text.title, body: text.body },
    data: { ...data, pushbell_id: origin.message, room: origin.room },
    to,
  };
}

async function work(jobs, outbox, failed) {
  for (const { record, chunk, client } of jobs) {
    try {
      const item = await count(chunk, client);
      const badge = unread(item);
      for (const token of tokens(item)) outbox.push(render(chunk, token, badge), record);
    } catch (error) {
      report(error);
      failed.add(record);
    }
  }
}

/** Counts the message; resolves with the recipient's item as it is now. */
async function count({ app, names }, client) {
  const { Attributes: item } = await dynamodb.send(
    new UpdateItemCommand({
      TableName: TABLE,
      Key: { pk: { S: `${app}#${client}` } },
      UpdateExpression: 'ADD #u :one',
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: { ':one': ONE },
      ReturnValues: 'ALL_NEW',
    }),
  );
  return item;
}

/** Unread messages of all rooms. */
function unread(item) {
  let sum = 0;
  for (const name in item) if (name.startsWith('u#')) sum += Number(item[name].N);
  return sum;
}

/** FCM's tokens of the recipient's devices. A device is a map: `c` is its channel, `f` for FCM, and `t` its token. */
function tokens(item) {
  const found = [];
  for (const name in item) {
    const device = name.startsWith('d#') ? item[name].M : undefined;
    if (device?.c.S === 'f') found.push(device.t.S);
  }
  return found;
}

function render({ id, notification, data }, token, badge) {
  return {
    token,
    notification,
    data,
    android: { priority: 'high', notification: { tag: id, notificationCount: badge } },
    apns: { payload: { aps: { badge, sound: 'default' } } },
  };
}

/** Messages that wait for a full block: each call of `sendEach` opens a connection. */
class Outbox {
  #failed;
  #messages = [];
  #records = [];
  #sends = [];

  constructor(failed) {
    this.#failed = failed;
  }

  push(message, record) {
    this.#messages.push(message);
    this.#records.push(record);
    if (this.#messages.length === MOST) this.#flush();
  }

  /** Resolves once everything has its answer. */
  async empty() {
    if (this.#messages.length > 0) this.#flush();
    await Promise.all(this.#sends);
  }

  #flush() {
    this.#sends.push(this.#send(this.#messages, this.#records));
    this.#messages = [];
    this.#records = [];
  }

  async #send(messages, records) {
    const errors = await send(messages);
    errors.forEach((error, index) => {
      if (!error) return;
      report(error);
      if (isRetryable(error)) this.#failed.add(records[index]);
    });
  }
}

/** Failures of this process so far. */
let failures = 0;

/** Tells the 1st, 10th, 100th failure and so on, without its message, which may quote a value. */
function report(error) {
  failures += 1;
  if (/^10*$/.test(failures)) console.error(`failure ${failures}: ${error.code ?? error.name}`);
}
