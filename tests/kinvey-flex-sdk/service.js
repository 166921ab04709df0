// A Flex service as it is written for Kinvey: a function for each call of the push module, and the hook that Kinvey's page shows.

import net from 'node:net';
import sdk from 'kinvey-flex-sdk';

// As long as a call of the API may take.
const LONGEST_ANSWER = 30_000;

// What each function does with the push module. Without a callback the module answers by a promise.
const calls = {
  send: (push, { users, message }, callback) => push.send(users, message, callback),
  sendMessage: (push, { users, message }, callback) => push.sendMessage(users, message, callback),
  sendPayload: (push, { users, iOSAps, iOSExtras, androidPayload }, callback) =>
    push.sendPayload(users, iOSAps, iOSExtras, androidPayload, callback),
  broadcastMessage: (push, { message }, callback) => push.broadcastMessage(message, callback),
  broadcastPayload: (push, { iOSAps, iOSExtras, androidPayload }, callback) =>
    push.broadcastPayload(iOSAps, iOSExtras, androidPayload, callback),
};

export const CALLS = Object.keys(calls);

function register(flex, users) {
  for (const [name, call] of Object.entries(calls)) {
    flex.functions.register(`${name}, callback`, ({ body }, complete, { push }) => {
      call(push, body, (error, answer) => {
        if (error) return complete(error).runtimeError().done();
        return complete(answer).ok().done();
      });
    });
    flex.functions.register(`${name}, promise`, ({ body }, complete, { push }) => {
      call(push, body)
        .then((answer) => complete(answer).ok().done())
        .catch((error) => complete(error).runtimeError().done());
    });
  }

  // Who fancies the winning team is told so, each by name, by one call.
  flex.functions.register('onPreSave', ({ body }, complete, { push }) => {
    const fans = users.filter((user) => user.favoriteTeam === body.winningTeam);
    push.send(fans, '{{givenName}}, the {{favoriteTeam}} just won!')
      .then(() => complete({ message: `Attempted to push ${fans.length} messages.` }).ok().done())
      .catch((error) => complete(error).runtimeError().done());
  });
}

// The service takes another port for 0.
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts the service for an app with these users; its address. */
export async function start(users) {
  const port = await freePort();
  return new Promise((resolve, reject) => {
    sdk.service({ host: '127.0.0.1', port }, (error, flex) => {
      if (error) return reject(error);
      register(flex, users);
      return resolve(`http://127.0.0.1:${port}`);
    });
  });
}

/** Has a function run, as Kinvey does for a request or a save; its status and body. `app`: `_id`, `mastersecret`, `baasUrl`. */
export async function run(service, app, name, body, hookType = 'customEndpoint') {
  const answer = await fetch(`${service}/_flexFunctions/${encodeURIComponent(name)}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Kinvey-Environment-Id': app._id,
      'X-Kinvey-Request-Id': 'kinvey-flex-sdk-test',
      'X-Kinvey-App-Metadata': JSON.stringify(app),
      'X-Kinvey-Original-Request-Headers': JSON.stringify({ 'x-kinvey-api-version': '3' }),
    },
    body: JSON.stringify({ method: 'POST', hookType, body }),
    signal: AbortSignal.timeout(LONGEST_ANSWER),
  });
  const { response } = await answer.json();
  return { status: answer.status, body: response.body };
}
