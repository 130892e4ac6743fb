// Goal: what a gate can put into headers does not stand between others and the stream. A gate may publish to its own subject, with any
// header: also those by which the server marks its own answers. Phases: the last message of a subject; a message by its number; a reader
// that rests. What must not happen: an answer that is taken for "no stream", "no message" or another message; memory without bound.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MsgHdrs, type NatsConnection, headers as newHeaders } from '@nats-io/transport-node';
import { checkpointStreamOf, formatHead, hostStreamOf } from '../../../src/evidence/fleet/block.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';
import { genesisHash, sealLine } from '../../../src/journal/records/ledger.js';
import { type Nats, natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import type { Owner } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';
import { fill, openDesk, skipOf } from './fleet-lab.js';

const stream = 'DOVEGATE_AUDIT_gate1';
const subject = `dovegate.audit.gate1.${'a'.repeat(32)}`;

/** The stream, a verifier's link, and a connection with the rights of gate1 that sends what it likes. */
async function open(t: Owner, nats: Nats): Promise<{ verifier: NatsLink; gate: NatsConnection }> {
  const admin = await openNats(nats.settingsOf('admin'));
  for (const { name, subjects } of [
    checkpointStreamOf('DOVEGATE_AUDIT'),
    hostStreamOf('DOVEGATE_AUDIT', 'gate1'),
  ])
    await admin.createStream(name, { subjects, replicas: 1, maxAgeMs: 0, maxBytes: undefined });
  await admin.close();
  const verifier = await openNats(nats.settingsOf('verifier'));
  const gate = await nats.connect('gate1');
  t.after(async () => {
    await verifier.close();
    await gate.close();
  });
  return { verifier, gate };
}

for (const release of natsReleases) {
  test(`headers of the server in a message of a gate (${release})`, { timeout: 600_000 }, async (t) => {
    const nats = await openNatsServer(t, { gates: ['gate1'], release });
    if ('skip' in nats) return t.skip(nats.skip);
    const { verifier, gate } = await open(t, nats);
    const own = await openNats(nats.settingsOf('gate1'));
    t.after(() => own.close());

    const forged = newHeaders();
    for (const [name, value] of [
      ['Nats-Sequence', '77'],
      ['Nats-Subject', 'dovegate.audit.gate2.x'],
      ['Nats-Time-Stamp', '2001-01-01T00:00:00Z'],
      ['Dovegate-Head', 'known'],
    ] as const)
      forged.append(name, value);
    const kinds: readonly (readonly [string, MsgHdrs])[] = [
      ['no responders', newHeaders(503, 'none')],
      ['no message', newHeaders(404, 'Message Not Found')],
      ['a timeout', newHeaders(408, 'Request Timeout')],
      ['other names', forged],
    ];
    let streamSeq = 0;
    for (const [what, headers] of kinds) {
      const startedMs = Date.now();
      await gate.request(subject, '', { headers, timeout: 60_000 });
      streamSeq += 1;
      for (const found of [await own.lastOf(stream, subject), await verifier.messageAt(stream, streamSeq)]) {
        assert.deepEqual([what, found?.streamSeq, found?.subject], [what, streamSeq, subject]);
        assert.ok((found?.storedMs ?? 0) > startedMs - 60_000, what);
        assert.equal(found?.header('Dovegate-Head'), what === 'other names' ? 'known' : '');
      }
    }
    assert.equal(await verifier.messageAt(stream, streamSeq + 1), undefined);
    assert.equal(await own.lastOf(stream, `${subject.slice(0, -1)}b`), undefined);
  });

  test(`headers count in what is read ahead (${release})`, { timeout: 600_000 }, async (t) => {
    const nats = await openNatsServer(t, { gates: ['gate1'], release });
    if ('skip' in nats) return t.skip(nats.skip);
    const { verifier, gate } = await open(t, nats);
    const headers = newHeaders();
    headers.append('Dovegate-Text', 'x'.repeat(60_000));
    const count = 1_000;
    for (let at = 0; at < count; at += 1) gate.publish(subject, '', { headers });
    await gate.flush();
    await until(async () => (await verifier.info(stream)).lastSeq === count, 'all are stored');

    const stop = new AbortController();
    for await (const { streamSeq } of verifier.read(stream, 1, count, stop.signal)) {
      if (streamSeq > 1) continue;
      // The reader rests: what was delivered meanwhile lies in our memory.
      let before = -1;
      let delivered = 0;
      await until(async () => {
        const { consumers } = await nats.api(`CONSUMER.LIST.${stream}`, {});
        const [one] = Array.isArray(consumers) ? consumers : [];
        before = delivered;
        delivered = Number(one?.delivered?.consumer_seq);
        await new Promise((resolve) => setTimeout(resolve, 300));
        return delivered > 0 && delivered === before;
      }, 'nothing more is delivered');
      assert.ok(delivered < 300, `${delivered} messages of 60 kB were delivered to a reader that rests`);
      break;
    }
    stop.abort();
  });
}

test("what a gate writes commands no terminal, and takes no other host's name", {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  await fill(nats, {});
  const desk = openDesk(nats, { gate1: { silent_after: '1h' } });
  const link = await openNats(nats.settingsOf('gate1'));
  t.after(() => link.close());
  const evil = '\u001b]0;owned\u0007\u009b31m\u202e';
  const journal = 'a'.repeat(32);
  const time = new Date().toISOString();
  const record = {
    time,
    event: 'admission',
    session: evil,
    id: `E1${evil}`,
    user: `x${evil}@y`,
    policy: evil,
  };
  const body = { ...record, version: evil, verb: evil, host: 'gate2', decision: 'allow' };
  const { line, hash } = sealLine(1, JSON.stringify(body).slice(1, -1), genesisHash);
  const head = { kind: 'block', first: 1, last: 1, head: hash } as const;
  const { streamSeq } = await link.publish(subject, formatHead(journal, head), Buffer.from(line), 0);
  const mark = [
    ['Dovegate-Forked', '5'],
    ['Dovegate-Head', '-'],
    ['Dovegate-Text', evil],
  ] as const;
  await link.publish(subject, mark, Buffer.alloc(0), streamSeq);
  const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u;
  for (const args of [
    ['verify'],
    ['verify', '--json'],
    ['status'],
    ['status', '--json'],
    ['search'],
    ['search', '--json'],
  ]) {
    const { exit, text } = args[0] === 'search' ? await desk.read(...args) : await desk.run(...args);
    assert.doesNotMatch(text, control, args.join(' '));
    assert.ok(exit <= 1, text);
    assert.match(text, args[0] === 'search' ? /E1/ : /cut-at-host/, args.join(' '));
    if (args[0] === 'search') assert.doesNotMatch(text, /gate2/);
  }
});
