// Seeded hostile requests through whole sessions, without sockets. Each gets one answer or a closed connection; nothing stays behind.
// DOVEGATE_ROUNDS multiplies them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { httpSettings, openHttp } from './http.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const settings = httpSettings.replace(
  'policy: support }',
  'policy: support, sessions: 100, sessions_per_peer: 100 }',
);

/** A generator that gives the same numbers each time. */
function createChance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const bodies = [
  '[]',
  '[["mailboxList",{"user":"alice@example.org"},"t"]]',
  '[["mailboxList",{"user":"alice@example.org"},"t"],["mailboxStatus",{"user":"alice@example.org","field":["messages"],"mailboxMask":"INBOX"},"u"]]',
  '[["save",{"user":"alice@example.org","mailbox":"INBOX","file":"Subject: x\\r\\n\\r\\n.\\r\\n"},"t"]]',
  '[["mailboxList",{"user":"bob@elsewhere.org"},""],["nothing",{},"\\u0001"]]',
];
const lines = [
  'Host: gate',
  'Host: other',
  'Connection: close',
  'Connection: keep-alive, Upgrade',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Expect: something',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Trailer: x',
  'Origin: https://evil.example',
  'Authorization: Basic !!!',
  'Dovegate-Reason: \xff\xfe',
  ' folded: x',
  'No colon',
  `X: ${'y'.repeat(9_000)}`,
];
const starts = [
  'POST /doveadm/v1 HTTP/1.1',
  'POST /doveadm/v1 HTTP/1.0',
  'POST /dovegate/v1/dry-run HTTP/1.1',
  'GET /doveadm/v1 HTTP/1.1',
  'GET /dovegate/v1/can HTTP/1.1',
  'HEAD / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'CONNECT other:443 HTTP/1.1',
  'TRACE / HTTP/1.1',
  'POST http://other/doveadm/v1 HTTP/1.1',
  'PRI * HTTP/2.0',
  'GET /',
];

function makeRequest(chance: (below: number) => number): string {
  const pick = (from: readonly string[]): string => from[chance(from.length)] ?? '';
  const body = pick(bodies);
  const isMostlyWell = chance(3) > 0;
  const head = [isMostlyWell ? (starts[chance(3)] ?? '') : pick(starts)];
  if (chance(10) > 0) head.push('Host: gate');
  const isChunked = chance(3) === 0;
  if (chance(10) > 0) head.push(isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`);
  if (!isMostlyWell) for (let more = chance(3); more > 0; more -= 1) head.push(pick(lines));
  const text = isChunked
    ? `${body.length.toString(16)}${pick(['', ';x=y'])}\r\n${body}\r\n0\r\n${pick(['', '', 'x: y\r\n'])}\r\n`
    : body;
  let all = `${head.join(pick(['\r\n', '\r\n', '\r\n', '\r\n', '\n']))}\r\n\r\n${text}`;
  for (let flips = chance(4) === 0 ? chance(4) : 0; flips > 0; flips -= 1) {
    const at = chance(all.length);
    const by = pick(['', '\0', '\r', '\n', '"', '[', '\\', '\x7f', '\xff', '999']);
    all = all.slice(0, at) + by + all.slice(at + chance(3));
  }
  return all;
}

void test('hostile requests: an answer for each or a closed connection, and nothing stays', {
  timeout: 600_000,
}, async (t) => {
  const unhandled: unknown[] = [];
  const keep = (fault: unknown): void => void unhandled.push(fault);
  process.on('unhandledRejection', keep);
  const engine = openHttp(settings);
  const statuses = new Map<string, number>();
  let allowed = 0;
  let served = 0;
  try {
    for (let seed = 1; seed <= 1_000 * rounds; seed += 1) {
      const chance = createChance(seed);
      engine.setAnswer((line) => {
        const kind = chance(12);
        if (kind === 0) return undefined;
        if (kind === 1) return replyPacket('INBOX\tSent');
        if (kind === 2) return replyPacket('INBOX\n+\n');
        return replyPacket(line.includes('status') ? 'INBOX\t4\t\n+\n' : 'INBOX\t\n+\n');
      });
      const client = await engine.client();
      const requests = Array.from({ length: 1 + chance(3) }, () => makeRequest(chance));
      const sent = Buffer.from(requests.join(''), 'latin1');
      const size = chance(2) === 0 ? sent.length : 1 + chance(200);
      for (let at = 0; at < sent.length; at += size) {
        client.peer.send(sent.subarray(at, at + size));
        if (chance(3) === 0) await settle();
      }
      for (let turn = chance(12); turn > 0; turn -= 1) await settle();
      const isGone = chance(4) === 0;
      if (isGone) client.peer.vanish();
      else client.peer.end();
      for (let turn = 0; turn < 8; turn += 1) await settle();
      const title = JSON.stringify({ seed, isGone, sent: sent.toString('latin1').slice(0, 600) });
      await engine.untilIdle().catch((fault: unknown) => assert.fail(`${String(fault)}: ${title}`));
      assert.equal(engine.service.sessions, 0, title);
      const said = client.peer.received().toString('latin1');
      const answers = said.match(/^HTTP\/1\.1 \d{3}|(?<=[^]{2})HTTP\/1\.1 \d{3}/g) ?? [];
      for (const answer of answers) statuses.set(answer, (statuses.get(answer) ?? 0) + 1);
      assert.ok(answers.filter((answer) => !answer.endsWith('100')).length <= requests.length + 1, title);
      const admitted = engine.records.filter(
        ({ record }) => record.event === 'admission' && record.decision === 'allow',
      ).length;
      const completed = engine.recordsOf('completion').length;
      const admissions = engine.recordsOf('admission').length;
      // A line of a text has no TAB.
      const sentLines = engine.commands.filter(({ line }) => line.includes('\t')).length;
      assert.ok(sentLines <= admitted, title);
      assert.equal(completed, admissions, title);
      allowed += admitted;
      served += sentLines;
      engine.forget();
    }
  } finally {
    process.off('unhandledRejection', keep);
  }
  assert.deepEqual(unhandled, []);
  assert.equal(engine.context.exchanges().buffered.bytes, 0);
  t.diagnostic(`${allowed} allowed, ${served} sent; ${JSON.stringify(Object.fromEntries(statuses))}`);
  assert.ok(served > 150 * rounds, `${served}`);
});
