// Access on request in the library: the words and the JSON that are sent, and every answer that may come. A script compares states, so they
// must arrive as dovegate wrote them, over a socket and over HTTP alike.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connect, SessionFault } from '../../src/client/connect.js';
import { accessItem as item } from '../kit/gate/access-item.js';
import { replyPacket } from '../kit/gate/memory-backend.js';
import { settle } from '../kit/plain/fake-clock.js';
import { json, openHttpServer, type ScriptedAnswer } from './http-server.js';
import { openSession } from './opened.js';

const line = (value: unknown): string => `access\t${JSON.stringify(value).replaceAll('\t', '\x01t')}\t`;

const asked = {
  user: 'bob@example.com',
  name: 'fetch',
  args: ['hdr.subject', 'all'],
  reason: 'ticket 4711',
  forMs: 3_600_000,
  uses: 3,
};

void test('each call is words on the wire', async () => {
  const { session, peer } = openSession(3, { logs: false });
  const { access } = session;
  const calls = [
    access.request(asked),
    access.request({ user: ['a', 'b'], name: 'mailbox status', args: ['all', 'INBOX'] }),
    access.grant({ ...asked, to: 'anna@support' }),
    access.get(item.id),
    access.approve(item.id, { forMs: 60_000, uses: 1 }),
    access.refuse(item.id, { reason: 'not this one' }),
    access.revoke(item.id),
    access.review(item.id),
    access.get(item.id, { tag: 'mcp-1' }),
  ];
  await settle();
  peer.send(replyPacket(`${line(item)}\n+\n`.repeat(calls.length)));
  for (const call of calls) assert.deepEqual(await call, item);
  const terms = '--for=3600000ms\t--uses=3\t--reason=ticket 4711\t--\tfetch\thdr.subject\tall';
  assert.deepEqual(peer.received().toString().split('\n'), [
    `\t\tdovegate request\t--user=bob@example.com\t${terms}`,
    '\t\tdovegate request\t--user=a\t--user=b\t--\tmailbox status\tall\tINBOX',
    `\t\tdovegate grant\t--to=anna@support\t--user=bob@example.com\t${terms}`,
    `\t\tdovegate access\t--\t${item.id}`,
    `\t\tdovegate approve\t--for=60000ms\t--uses=1\t--\t${item.id}`,
    `\t\tdovegate refuse\t--reason=not this one\t--\t${item.id}`,
    `\t\tdovegate revoke\t--\t${item.id}`,
    `\t\tdovegate review\t--\t${item.id}`,
    '\t\tOPTION\tdovegate-tag=mcp-1',
    `\t\tdovegate access\t--\t${item.id}`,
    '',
  ]);
});

void test('a list is rows of a kind; other rows are left to newer clients', async () => {
  const { session, peer } = openSession(3, { logs: false });
  const list = session.access.list();
  peer.send(replyPacket(`${line(item)}later\tx\t${line({ ...item, more: 1 })}\n+\n`));
  assert.deepEqual(await list, [item, { ...item, more: 1 }]);
  const none = session.access.list();
  peer.send(replyPacket('\n+\n'));
  assert.deepEqual(await none, []);
});

async function over(t: TestContext, answer: ScriptedAnswer) {
  const server = await openHttpServer(t, () => answer);
  const session = await connect({ url: server.url, key: 'dvg_testkey1_secret' });
  t.after(() => session.close());
  return { session, server };
}

void test('over HTTP: JSON to a path each, the same objects back', async (t) => {
  const { session, server } = await over(t, json(item));
  const { access } = session;
  assert.deepEqual(await access.request(asked), item);
  await access.get(item.id);
  await access.approve(item.id, { uses: 1 });
  await access.refuse(item.id, { reason: 'no', tag: 'panel-7' });
  const { reason, uses, name, args } = asked;
  const wish = { users: [asked.user], for: '3600000ms', uses, reason, command: [name, ...args] };
  const seen = server.requests.map(({ line: text, body }) => [text.split(' ')[1], JSON.parse(body)]);
  assert.deepEqual(seen, [
    ['/dovegate/v1/request', wish],
    ['/dovegate/v1/requests', { id: item.id }],
    ['/dovegate/v1/approve', { id: item.id, uses: 1 }],
    ['/dovegate/v1/refuse', { id: item.id, reason: 'no', tag: 'panel-7' }],
  ]);
  const list = await over(t, json([item, item]));
  assert.deepEqual(await list.session.access.list(), [item, item]);
});

void test('over HTTP: a status with a code of dovegate is the failure of the command, any other the end of the session', async (t) => {
  const said = (status: string, code?: string): ScriptedAnswer => ({
    bytes: `HTTP/1.1 ${status}\r\n${code === undefined ? '' : `Dovegate-Code: ${code}\r\n`}Content-Length: 4\r\n\r\nwhy?`,
  });
  for (const [status, word] of [
    ['400 Bad Request', 'USAGE'],
    ['403 Forbidden', 'NOPERM'],
    ['404 Not Found', 'NOTFOUND'],
    ['503 Service Unavailable', 'TEMPFAIL'],
  ] as const) {
    const { session } = await over(t, said(status, 'denied'));
    const failure = { name: 'CommandFailed', code: word, message: /dovegate: why\? \[denied\]$/ };
    await assert.rejects(session.access.review(item.id), failure);
    const other = await over(t, said(status));
    await assert.rejects(other.session.access.review(item.id), SessionFault);
  }
  const old = await over(t, said('404 Not Found', 'unknown-path'));
  await assert.rejects(old.session.access.list(), { name: 'SessionFault', code: 'version-unsupported' });
});
