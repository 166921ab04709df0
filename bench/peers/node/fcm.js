// FCM through firebase-admin, at an address of one's own.

import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { setTimeout } from 'node:timers/promises';

import { initializeApp } from 'firebase-admin/app';
import { getMessaging } from 'firebase-admin/messaging';

/** The most messages that `sendEach` takes. */
export const MOST = 500;

/** How long requests on a connection that broke may still be answered, in milliseconds. */
const LAST_ANSWERS = 5_000;
const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** What another try cannot change: it is about this token or this message. */
const PERMANENT = new Set([
  'messaging/registration-token-not-registered',
  'messaging/mismatched-credential',
  'messaging/invalid-argument',
  'messaging/invalid-payload',
]);

// firebase-admin knows one host, fcm.googleapis.com, and looks `connect` up at every call. It writes the scheme as `https:`, which
// Google takes and RFC 9113 does not: servers that follow it answer PROTOCOL_ERROR. The rest of the connection stays as it makes it.
const connect = http2.connect;
http2.connect = (_authority, options) => {
  const session = connect(process.env.FCM_URL, options);
  const request = session.request;
  session.request = (headers, streamOptions) => {
    headers[':scheme'] = 'https';
    return request.call(session, headers, streamOptions);
  };
  return session;
};

/**
 * A service account that asks its own `token_uri`; firebase-admin's `cert` asks Google's always. The caller keeps the token until
 * five minutes before its end. A class, as firebase-admin copies plain objects for every message.
 */
class ServiceAccount {
  #account;

  constructor(path) {
    this.#account = JSON.parse(readFileSync(path, 'utf8'));
  }

  getAccessToken() {
    const form = new URLSearchParams({ grant_type: GRANT, assertion: this.#assertion() }).toString();
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(form) };
      const request = https.request(this.#account.token_uri, { method: 'POST', headers, timeout: 10_000 }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode !== 200) {
            reject(new Error(`the token endpoint answered ${response.statusCode}`));
            return;
          }
          try {
            const { access_token, expires_in } = JSON.parse(Buffer.concat(chunks).toString());
            resolve({ access_token, expires_in });
          } catch (error) {
            reject(error);
          }
        });
      });
      request.on('timeout', () => request.destroy(new Error('the token endpoint did not answer')));
      request.on('error', reject);
      request.end(form);
    });
  }

  #assertion() {
    const { client_email, private_key, private_key_id, token_uri } = this.#account;
    const iat = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const header = part({ alg: 'RS256', typ: 'JWT', kid: private_key_id });
    const claims = part({ iss: client_email, scope: SCOPE, aud: token_uri, iat, exp: iat + 3600 });
    const signature = createSign('RSA-SHA256').update(`${header}.${claims}`).sign(private_key, 'base64url');
    return `${header}.${claims}.${signature}`;
  }
}

const app = initializeApp({
  credential: new ServiceAccount(process.env.FCM_ACCOUNT),
  projectId: process.env.FCM_PROJECT,
});
const messaging = getMessaging(app);

/** Sends up to `MOST` messages over a connection of their own. Resolves with an error, or `undefined`, for each of them. */
export async function send(messages) {
  try {
    return errors(await messaging.sendEach(messages));
  } catch (error) {
    // The connection broke. What was answered until then counts; but firebase-admin never settles a request that was cut off.
    const batch = await Promise.race([error.pendingBatchResponse, setTimeout(LAST_ANSWERS)]);
    return batch ? errors(batch) : messages.map(() => error);
  }
}

function errors(batch) {
  return batch.responses.map((response) => response.error);
}

/** Whether the same message may get through later. */
export function isRetryable(error) {
  return !PERMANENT.has(error.code);
}
