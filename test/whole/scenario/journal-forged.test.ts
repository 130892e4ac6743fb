// Goal: with write access to the audit directory, and without the signing key, nothing that was signed can be hidden and nothing can be
// added while the daemon is down. Phases: signed segments are removed and an unsigned `retire` record is appended; a command that nobody
// sent is appended after an orderly stop, in the last segment and in a segment of its own; the copies of the last checkpoint are rolled
// back. What must not happen: a forgery that the next start signs, that `audit verify` passes, that `audit report` calls complete, or that
// `audit export --with-proof` proves.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { segmentFiles } from '../../journal/files/reading.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';

const audit =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, segment: 64KiB }';
const victim = 'victim@example.org';

async function ask({ client }: Gateway, user: string, times = 1): Promise<void> {
  const one = await client();
  for (let count = 0; count < times; count += 1) {
    assert.equal((await one.ask({ user, fields: ['quota get'] })).status, '+');
  }
  one.close();
}

/** A stopped daemon whose journal has several segments; the first one holds the command of the victim. */
async function stopped(gateway: Gateway): Promise<void> {
  await ask(gateway, victim);
  for (let round = 0; segmentFiles(gateway.daemon.path('audit')).length < 4; round += 1) {
    assert.ok(round < 100);
    await ask(gateway, 'alice@example.org', 20);
  }
  await gateway.daemon.stop();
}

function textOf(path: string): string {
  const bytes = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

function linesOf(directory: string, file: string): string[] {
  return textOf(join(directory, file)).trimEnd().split('\n');
}

/** Appends records with a right chain and no signature, as somebody does who has no key; returns them. */
function append(directory: string, records: readonly JournalRecord[], file?: string): string[] {
  const last = segmentFiles(directory).at(-1) ?? '';
  let { seq, hash } = JSON.parse(linesOf(directory, last).at(-1) ?? '');
  const lines = records.map((record) => {
    const sealed = sealLine(seq + 1, encodeBody(record), hash);
    seq += 1;
    hash = sealed.hash;
    return sealed.line;
  });
  writeFileSync(join(directory, file ?? last), lines.join(''), { flag: 'a', mode: 0o600 });
  return lines;
}

const again = (t: TestContext, { folder }: Daemon): Promise<Daemon> => startDaemon(t, { folder });
const command = (daemon: Daemon, name: string, ...args: string[]) =>
  runWarm(['audit', name, '--config', daemon.configFile, ...args]);
/** With the key that an auditor keeps elsewhere. */
const auditorOf = (daemon: Daemon): string[] => {
  const file = daemon.path('auditor.pub');
  if (!existsSync(file)) writeFileSync(file, readFileSync(daemon.path('audit/key.pub')));
  return ['--key', file];
};

/** An exchange that nobody sent. */
function forgedExchange(timeMs: number): JournalRecord[] {
  const named = {
    session: '01FORGED',
    id: '01FORGEDEXCHANGE',
    listener: 'support',
    principal: 'carol@support',
  };
  const asked = { ...named, command: 'quota get', user: victim };
  return [
    { time: timeMs, event: 'admission', ...asked, policy: 'support', decision: 'allow', effect: 'read' },
    { time: timeMs, event: 'completion', ...named, status: '+', outcome: 'ok', sent: true },
  ];
}

test('segments that somebody removed are not explained by a retire record that nobody signed', async (t) => {
  const gateway = await openGateway(t, { audit });
  const { daemon } = gateway;
  await stopped(gateway);
  const auditor = auditorOf(daemon);
  const directory = daemon.path('audit');
  assert.equal((await command(daemon, 'verify')).exit, 0);
  const names = segmentFiles(directory);
  const [gone = '', also = '', left = ''] = names;
  const head = JSON.parse(linesOf(directory, left)[0] ?? '');
  rmSync(join(directory, gone));
  rmSync(join(directory, also));
  const why = { action: 'age', until: '2026-01-01T00:00:00.000Z' };
  const place = { segment: head.segment, segment_hash: head.segment_hash, oldest_seq: head.seq };
  append(directory, [{ time: Date.now(), event: 'retire', ...place, ...why }]);
  const before = await command(daemon, 'verify');
  assert.equal(before.exit, 1, before.text);
  assert.match(before.text, /journal-appended/);

  const second = await again(t, daemon);
  const removed = second.logs.find(({ event, type }) => event === 'audit-damaged' && type === 'removed');
  assert.equal(removed?.['level'], 'error', second.output());
  await second.stop();
  for (const keys of [[], auditor]) {
    const verified = await command(daemon, 'verify', ...keys);
    assert.equal(verified.exit, 1, verified.text);
    assert.match(verified.text, /segment-missing/);
    assert.match(verified.text, /journal-appended/);
  }
  const report = await command(daemon, 'report', '--mailbox', victim, ...auditor);
  assert.equal(report.exit, 1, report.text);
  assert.match(report.text, /NOT proved complete/);
  const proof = await command(daemon, 'export', '--with-proof', '--user', 'alice@example.org', ...auditor);
  assert.equal(proof.exit, 1, proof.text);
  // What the journal says of its own beginning is what retention left, and it goes on saying so.
  const oldest = auditRecords(second).findLast(({ event }) => event === 'checkpoint');
  assert.equal(oldest?.['oldest_seq'], 1);
  const third = await again(t, daemon);
  assert.ok(!third.logs.some(({ event }) => event === 'audit-damaged'), 'told once');
  await third.stop();
  assert.match((await command(daemon, 'verify', ...auditor)).text, /segment-missing/);
});

test('what is appended after an orderly stop is moved aside, reported, and never signed', async (t) => {
  const gateway = await openGateway(t, { audit, more: 'admin: { unix: admin.sock }' });
  const { daemon } = gateway;
  await ask(gateway, 'alice@example.org', 3);
  await daemon.stop();
  const auditor = auditorOf(daemon);
  const directory = daemon.path('audit');
  const [file = ''] = segmentFiles(directory);
  const signed = textOf(join(directory, file));
  const forged = append(directory, forgedExchange(Date.now()));
  // A segment of its own, which goes on after it.
  const more = append(directory, forgedExchange(Date.now()), '00000007.jsonl');
  const before = await command(daemon, 'verify', ...auditor);
  assert.equal(before.exit, 1, before.text);
  assert.match(before.text, /journal-appended/);

  const second = await again(t, daemon);
  const logged = second.logs.find(({ event }) => event === 'journal-appended');
  assert.equal(logged?.['level'], 'error', second.output());
  const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json');
  assert.match(body, /journal-appended/);
  await second.stop();
  assert.equal(textOf(join(directory, `${file}.appended`)), forged.join(''));
  assert.equal(statSync(join(directory, `${file}.appended`)).mode & 0o7777, 0o600);
  assert.equal(textOf(join(directory, '00000007.jsonl.appended')), more.join(''));
  assert.ok(textOf(join(directory, file)).startsWith(signed));
  const last = JSON.parse(signed.trimEnd().split('\n').at(-1) ?? '');
  const start = auditRecords(second).findLast(({ event }) => event === 'start');
  assert.deepEqual(
    [start?.['seq'], start?.['last_seq'], start?.['last_hash'], start?.['error']],
    [last.seq + 1, last.seq, last.hash, 'journal-appended'],
  );
  const verified = await command(daemon, 'verify', ...auditor);
  assert.equal(verified.exit, 1, verified.text);
  assert.match(verified.text, /journal-appended/);
  const proof = await command(daemon, 'export', '--with-proof', '--user', victim, ...auditor);
  assert.doesNotMatch(proof.text, /01FORGED/);
  assert.doesNotMatch((await command(daemon, 'search', '--user', victim)).text, /01FORGED/);

  await t.test('a second time it gets another name, and the first file stays', async (own) => {
    append(directory, forgedExchange(Date.now()));
    await (await again(own, daemon)).stop();
    assert.equal(textOf(join(directory, `${file}.appended`)), forged.join(''));
    assert.ok(existsSync(join(directory, `${file}.appended-2`)));
  });
});

test('an end that was cut off together with every checkpoint beside it is found by the copy in state', async (t) => {
  const gateway = await openGateway(t, { audit });
  const { daemon } = gateway;
  const directory = daemon.path('audit');
  await ask(gateway, 'alice@example.org', 3);
  const earlier = readFileSync(join(directory, 'checkpoint.json'), 'utf8');
  await daemon.stop();
  const [file = ''] = segmentFiles(directory);
  const lines = textOf(join(directory, file)).split('\n');
  const at = lines.indexOf(earlier.trimEnd());
  writeFileSync(join(directory, file), `${lines.slice(0, at + 1).join('\n')}\n`);
  writeFileSync(join(directory, 'checkpoint.json'), earlier);
  const verified = await command(daemon, 'verify');
  assert.equal(verified.exit, 1, verified.text);
  append(directory, forgedExchange(Date.now()));
  const second = await again(t, daemon);
  assert.ok(second.logs.some(({ event, type }) => event === 'audit-damaged' && type === 'cut'));
  await second.stop();
  assert.equal((await command(daemon, 'verify', ...auditorOf(daemon))).exit, 1);
});
