// Phones of the local stack: registered as Kinvey's apps do it, and looked at.

const LONGEST_WAIT = 30_000;
const BETWEEN_LOOKS = 100;

export class Phones {
  constructor({ url, appKey, masterSecret }) {
    this.url = url;
    this.appKey = appKey;
    this.authorization = `Basic ${Buffer.from(`${appKey}:${masterSecret}`).toString('base64')}`;
  }

  async register(platform, deviceId, userId) {
    const answer = await fetch(`${this.url}/push/${this.appKey}/register-device`, {
      method: 'POST',
      headers: { Authorization: this.authorization, 'Content-Type': 'application/json' },
      body: JSON.stringify({ platform, deviceId, userId }),
    });
    if (answer.status !== 204) throw new Error(`register-device: ${answer.status} ${await answer.text()}`);
  }

  /** A user's `_messaging`, as Kinvey keeps it in the user's document. */
  async messaging(userId) {
    const answer = await fetch(`${this.url}/push/${this.appKey}/devices?userId=${userId}`, {
      headers: { Authorization: this.authorization },
    });
    if (answer.status !== 200) throw new Error(`devices: ${answer.status} ${await answer.text()}`);
    return (await answer.json())._messaging;
  }

  /** What a phone has, also what only its app was handed; newest first. */
  async look(token) {
    const answer = await fetch(`${this.url}/phones?token=${token}`);
    const [phone] = await answer.json();
    return phone?.notifications ?? [];
  }

  /** What a phone has once it is `count` pushes, or when time is up. */
  async wait(token, count) {
    const deadline = Date.now() + LONGEST_WAIT;
    for (;;) {
      const pushes = await this.look(token);
      if (pushes.length >= count || Date.now() > deadline) return pushes;
      await new Promise((resolve) => { setTimeout(resolve, BETWEEN_LOOKS); });
    }
  }
}

/** Java's `String.hashCode`. */
export function javaHash(text) {
  let hash = 0;
  for (let at = 0; at < text.length; at += 1) hash = (Math.imul(31, hash) + text.charCodeAt(at)) | 0;
  return hash;
}

/**
 * What Kinvey's Android SDK hands to the app: the first value of the data. Android keeps data in an `ArrayMap`, whose order is that of the keys'
 * hashes.
 */
export function handedToTheApp(data) {
  const [first] = Object.keys(data).sort((a, b) => javaHash(a) - javaHash(b));
  return data[first];
}
