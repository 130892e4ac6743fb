// Goal: a session of one command leaves two records, which say all that an auditor needs. Phases: short sessions one after another, a kept
// session, one that sends nothing, one that breaks the protocol; then the readers. What must not happen: a command of which nobody can
// tell who asked, a session that leaves neither a record nor a number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, type Gateway, openGateway } from '../kit/gateway.js';
import { runWarm } from '../kit/warm-program.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** The events of each session, in its order, with who asked where a record says so. */
function sessionsOf({ daemon }: Gateway): string[] {
  const sessions = new Map<unknown, string[]>();
  for (const { session, event, peer } of auditRecords(daemon)) {
    if (session === undefined) continue;
    const events = sessions.get(session) ?? [];
    events.push(peer === undefined ? String(event) : `${String(event)} with peer`);
    sessions.set(session, events);
  }
  return [...sessions.values()].map((events) => events.join(', '));
}

async function runOnce({ client }: Gateway): Promise<void> {
  const one = await client();
  one.sendCommand(quota);
  assert.equal((await one.readReply()).status, '+');
  one.halfClose();
  await one.readEnd();
}

test('two records for a short session, more where there is more to say; the readers find all of it', async (t) => {
  const gateway = await openGateway(t);
  const { daemon, client } = gateway;
  const shorts = 20;
  for (let at = 0; at < shorts; at += 1) await runOnce(gateway);

  const kept = await client();
  for (const command of [quota, { ...quota, fields: ['mailbox delete', 'Work'] }, quota]) {
    kept.sendCommand(command);
    await kept.readReply();
  }
  kept.halfClose();
  await kept.readEnd();
  const silent = await client();
  silent.halfClose();
  await silent.readEnd();
  const broken = await client();
  broken.sendCommand(quota);
  await broken.readReply();
  await broken.write('no command\n');
  await broken.readEnd();
  await daemon.stop();

  const short = 'admission with peer, completion';
  assert.deepEqual(sessionsOf(gateway), [
    ...Array.from({ length: shorts }, () => short),
    `${short}, ${short}, ${short}, session-close`,
    'session-open with peer, session-close',
    `${short}, session-close`,
  ]);
  const records = auditRecords(daemon);
  const closes = records.filter(({ event }) => event === 'session-close');
  assert.deepEqual(
    closes.map(({ reason, count }) => [reason, count]),
    [
      ['peer-ended', 3],
      ['peer-ended', 0],
      ['wire-fault', 1],
    ],
  );
  assert.ok(closes.every(({ duration_ms: ms }) => typeof ms === 'number'));

  const [, , last] = records.filter(
    ({ event, session }) => event === 'admission' && session === closes[0]?.['session'],
  );
  const shown = await runWarm(['audit', 'show', String(last?.['id']), daemon.path('audit')]);
  assert.equal(shown.exit, 0, shown.text);
  assert.match(
    shown.text,
    new RegExp(`\n  peer +uid=${process.getuid?.()} [^]*\n  reason +peer-ended\n  count +3`),
  );
  const verified = await runWarm(['audit', 'verify', '--unsigned', daemon.path('audit')]);
  assert.equal(verified.exit, 0, verified.text);
  const found = await runWarm(['audit', 'search', '--json', daemon.path('audit')]);
  assert.equal(found.stdout.toString().trimEnd().split('\n').length, shorts + 4);

  const lines = daemon.audit().map(({ text }) => text);
  const ofShorts = lines.filter((line) => line.includes('"session"')).slice(0, shorts * 2);
  const bytes = ofShorts.reduce((sum, line) => sum + line.length + 1, 0);
  t.diagnostic(`${Math.round(bytes / shorts)} bytes of journal for a short session`);
});
