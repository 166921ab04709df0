// The npm package kinvey-flex-sdk, pointed at Pushbell: a Flex service sends by all five calls of its push module, and the phones show it.
//
//   node test.js <address of the local stack> [<app key> [<master secret>]]

import assert from 'node:assert/strict';
import { CALLS, run, start } from './service.js';
import { Phones, handedToTheApp, javaHash } from './phones.js';

const [url, appKey = 'demo', masterSecret = 'demo-master'] = process.argv.slice(2);
assert.ok(['127.0.0.1', 'localhost'].includes(url && new URL(url).hostname), 'usage: node test.js <address of a stack on this machine>');
// The package's broadcasts would go through a proxy.
process.env.NO_PROXY = '*';

// One stack serves several runs.
const own = Date.now().toString(16);
const person = (name, givenName, favoriteTeam, digit) => ({
  document: { _id: `${name}-${own}`, username: name, givenName, favoriteTeam },
  iphone: `${digit}${own}`.padEnd(64, '0'),
  android: `${name}-android-${own}`,
});
const joe = person('joe', 'Joe', 'Boston Red Sox', 'a');
const ann = person('ann', 'Ann', 'Boston Red Sox', 'b');
const kim = person('kim', 'Kim', 'Kansas City Royals', 'c');
const everybody = [joe, ann, kim];

const phones = new Phones({ url, appKey, masterSecret });
for (const { document, iphone, android } of everybody) {
  await phones.register('ios', iphone, document._id);
  await phones.register('android', android, document._id);
  document._messaging = await phones.messaging(document._id);
}
const app = { _id: appKey, mastersecret: masterSecret, baasUrl: url };
const service = await start(everybody.map(({ document }) => document));

let passed = 0;
let failed = 0;
const called = new Set();
async function check(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}

/** Has the service call; the call's answer, without the task's number. */
async function call(name, ending, body) {
  const { status, body: answer } = await run(service, app, `${name}, ${ending}`, body);
  assert.equal(status, 200, JSON.stringify(answer));
  const { task_id: task, ...rest } = answer;
  assert.ok(Number.isSafeInteger(task), `task_id: ${task}`);
  called.add(`${name}, ${ending}`);
  return rest;
}

const had = new Map();
/** What a phone has more than before, once there is something. */
async function fresh(token) {
  const before = had.get(token) ?? 0;
  const pushes = await phones.wait(token, before + 1);
  had.set(token, pushes.length);
  return pushes.slice(0, pushes.length - before);
}

/** The one push that a phone has more than before. */
async function next(token) {
  const pushes = await fresh(token);
  assert.equal(pushes.length, 1, `${pushes.length} pushes for ${token}`);
  return pushes[0];
}

/** What a caller's own keys hold: Pushbell's are beside them. */
const callers = (keys) => Object.fromEntries(Object.entries(keys).filter(([key]) => !/^(pushbell_|kinvey\.)/.test(key)));

function showsOnIphone(pushes, { alert, aps, extras = {} }) {
  assert.equal(pushes.length, 1, 'pushes for the iPhone');
  const { aps: shown, ...beside } = pushes[0].payload;
  if (aps) assert.deepEqual(shown, aps);
  else assert.equal(pushes[0].body, alert);
  assert.deepEqual(callers(beside), extras);
}

function reachesAndroid(pushes, { data }) {
  assert.equal(pushes.length, 1, 'pushes for the Android phone');
  const { payload } = pushes[0];
  assert.deepEqual(callers(payload.data), data);
  assert.equal(handedToTheApp(payload.data), handedToTheApp(data), "what Kinvey's Android SDK hands to the app");
  assert.equal(payload.notification, undefined, 'the app shows it, not the system');
}

/** Every phone of these people is sent just this, whatever fails for others. */
async function arrives(people, sent) {
  const all = [];
  for (const { iphone, android } of people) all.push([await fresh(iphone), await fresh(android)]);
  for (const [iphone, android] of all) {
    showsOnIphone(iphone, sent);
    reachesAndroid(android, sent);
  }
}

const text = (message) => ({ request: { message }, sent: { alert: message, data: { message } } });
const parts = (message, badge) => {
  const iOSAps = { alert: { title: 'Order 771', body: message }, badge, sound: 'default', category: 'ORDER' };
  const iOSExtras = { orderId: '771', lines: [{ sku: 'A-1', count: 2 }] };
  const androidPayload = { message, orderId: '771' };
  return {
    request: { iOSAps, iOSExtras, androidPayload },
    sent: { aps: iOSAps, extras: iOSExtras, data: androidPayload },
  };
};

const id = ({ document: { _id } }) => _id;
const plain = (somebody) => ({ _id: id(somebody) });
const audiences = [
  ['one user document', joe.document, [joe]],
  ['an array of user documents', [joe.document, ann.document], [joe, ann]],
  ['one plain document', plain(ann), [ann]],
  ['an array of plain documents', [plain(ann), plain(kim)], [ann, kim]],
  ['an array of ids', [id(joe), id(kim)], [joe, kim]],
];
let badge = 0;
for (const ending of ['callback', 'promise']) {
  for (const [what, users, told] of audiences) {
    for (const [name, content] of [['send', text], ['sendMessage', text], ['sendPayload', parts]]) {
      await check(`${name}, ${ending}, ${what}`, async () => {
        const { request, sent } = content(`${name} with a ${ending} to ${what}: ¡olé! 你好 🎉`, badge += 1);
        assert.deepEqual(await call(name, ending, { users, ...request }), { accepted: told.length });
        await arrives(told, sent);
      });
    }
  }
  for (const [name, content] of [['broadcastMessage', text], ['broadcastPayload', parts]]) {
    await check(`${name}, ${ending}`, async () => {
      const { request, sent } = content(`${name} with a ${ending}`, badge += 1);
      assert.deepEqual(await call(name, ending, request), {});
      await arrives(everybody, sent);
    });
  }
}

await check('a badge is shown as it was given', async () => {
  for (const badge of [7, 0]) {
    await call('sendPayload', 'promise', { users: joe.document, iOSAps: { alert: `${badge} left`, badge } });
    assert.equal((await next(joe.iphone)).badge, badge);
  }
});

await check('a part that is not given leaves its phones out', async () => {
  const aps = { alert: 'for iPhones' };
  await call('sendPayload', 'callback', { users: kim.document, iOSAps: aps });
  showsOnIphone(await fresh(kim.iphone), { aps });
  const data = { message: 'for Android' };
  await call('sendPayload', 'promise', { users: kim.document, androidPayload: data });
  reachesAndroid(await fresh(kim.android), { data });
});

await check("a text is what Kinvey's Android SDK hands to the app", async () => {
  const hashes = ['Aa', 'BB', 'message', 'polygenelubricants'].map(javaHash);
  assert.deepEqual(hashes, [2112, 2112, 954_925_063, -2_147_483_648]);
  assert.equal(handedToTheApp({ Aa: 'second', message: 'third', polygenelubricants: 'first' }), 'first');
  await call('send', 'promise', { users: joe.document, message: 'Your order is on its way.' });
  const [shown, { payload }] = [await next(joe.iphone), await next(joe.android)];
  assert.equal(shown.body, 'Your order is on its way.');
  assert.equal(payload.data.message, 'Your order is on its way.');
  assert.equal(handedToTheApp(payload.data), 'Your order is on its way.');
});

await check("the hook of Kinvey's page tells each fan by name, by one call", async () => {
  const { status, body } = await run(service, app, 'onPreSave', { winningTeam: 'Boston Red Sox' }, 'pre');
  assert.deepEqual([status, body], [200, { message: 'Attempted to push 2 messages.' }]);
  await arrives([joe], text('Joe, the Boston Red Sox just won!').sent);
  await arrives([ann], text('Ann, the Boston Red Sox just won!').sent);
});

await check('a payload is a template too, and who lacks a value is left out by name', async () => {
  const { _id, favoriteTeam } = kim.document;
  const answer = await call('sendPayload', 'promise', {
    users: [joe.document, { _id, favoriteTeam }],
    iOSAps: { alert: { title: '{{favoriteTeam}}', body: '{{givenName}}, they won!' } },
    iOSExtras: { for: '{{givenName}}' },
    androidPayload: { message: '{{givenName}}, the {{favoriteTeam}} won!' },
  });
  const reason = 'lacks the value givenName';
  assert.deepEqual(answer, { accepted: 1, skipped: [{ index: 1, reason }], skipped_count: 1 });
  await arrives([joe], {
    aps: { alert: { title: 'Boston Red Sox', body: 'Joe, they won!' } },
    extras: { for: 'Joe' },
    data: { message: 'Joe, the Boston Red Sox won!' },
  });
});

await check('the same requestId is the same push', async () => {
  const request = { users: joe.document, message: { ...parts('once', 3).request, requestId: `order-771-${own}` } };
  assert.deepEqual(await call('send', 'promise', request), { accepted: 1 });
  assert.deepEqual(await call('send', 'callback', request), { accepted: 1, repeated: true });
  await arrives([joe], parts('once', 3).sent);
});

for (const name of CALLS) {
  for (const ending of ['callback', 'promise']) {
    await check(`${name}, ${ending}, a wrong master secret`, async () => {
      const wrong = { ...app, mastersecret: 'not-the-master-secret' };
      const body = { users: joe.document, ...text('nobody is told').request, ...parts('nobody is told').request };
      const answer = await run(service, wrong, `${name}, ${ending}`, body);
      assert.equal(answer.status, 550);
      const { error, description, debug } = answer.body.debug;
      assert.equal(error, 'InvalidCredentials');
      assert.equal(typeof description, 'string');
      assert.equal(typeof debug, 'string');
    });
  }
}

await check('an app that does not exist', async () => {
  const { status, body } = await run(service, { ...app, _id: 'nobody' }, 'send, promise', { users: joe.document, message: 'nobody is told' });
  assert.deepEqual([status, body.debug.error], [550, 'AppNotFound']);
});

await check('no phone has more than was sent to it', async () => {
  for (const token of everybody.flatMap(({ iphone, android }) => [iphone, android])) {
    assert.equal((await phones.look(token)).length, had.get(token), token);
  }
});

await check('all five calls were made, with callbacks and promises', () => {
  assert.deepEqual([...called].sort(), CALLS.flatMap((name) => [`${name}, callback`, `${name}, promise`]).sort());
});

console.log(`kinvey-flex-sdk: ${passed} passed, ${failed} failed`);
// The service listens until it is told to end.
process.exit(failed === 0 ? 0 : 1);
