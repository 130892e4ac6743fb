// Goal: what an administrator of the server takes out of the stream, in spite of its settings, is not called complete; and a watch of such
// a stream goes on. Phases: all messages gone before their age; gone before they were read; one deleted from between; a tail that is gone;
// an end that is lost and filled again; a key that is gone; SIGTERM while a server hangs. What must not happen: exit 0, or a watch that
// says nothing.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openNats } from '../../../src/evidence/nats/link.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import { until } from '../../kit/plain/until.js';
import { fill, findingsOf, openDesk, readLines, send, skipOf, statusOf, trusted } from './fleet-lab.js';
import { startWatch } from './watching.js';

/** Of the one host. */
const stream = 'DOVEGATE_AUDIT_gate1';
const patient = { ...trusted, silent_after: '1h' };
type Answer = Readonly<Record<string, unknown>>;

async function configOf(nats: Nats): Promise<Answer> {
  const { config } = await nats.api(`STREAM.INFO.${stream}`);
  assert.ok(typeof config === 'object' && config !== null);
  return { ...config };
}

/** As an administrator does whom deny_purge stops: everything is too old for a moment. */
async function empty(nats: Nats): Promise<void> {
  const config = await configOf(nats);
  const second = 1_000_000_000;
  const age = { max_age: second / 5, duplicate_window: second / 5 };
  const changed = await nats.api(`STREAM.UPDATE.${stream}`, { ...config, ...age });
  assert.equal(changed['error'], undefined, JSON.stringify(changed));
  await until(async () => {
    const { state } = await nats.api(`STREAM.INFO.${stream}`);
    return JSON.stringify(state).includes('"messages":0');
  }, 'the stream is empty');
  await nats.api(`STREAM.UPDATE.${stream}`, config);
}

async function sendTo(nats: Nats, lines: ReturnType<typeof readLines>, from: number, to: number, count = 5) {
  const link = await openNats(nats.settingsOf('gate1'));
  await send(link, 'gate1', { ...lines, lines: lines.lines.slice(from, to) }, count);
  await link.close();
}

/** Whether any client is connected to the server. The kernel also connects those of a frozen server. */
function hasClient({ port }: Nats): boolean {
  const remote = port.toString(16).toUpperCase().padStart(4, '0');
  // Columns: number, local address, remote address, state; 01 is established.
  return new RegExp(`^ *\\d+: \\S+ \\S+:${remote} 01 `, 'm').test(readFileSync('/proc/net/tcp', 'utf8'));
}

async function openLab(t: TestContext) {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return undefined;
  return { nats, lines: readLines(await writeJournal(t)), desk: openDesk(nats, { gate1: patient }) };
}

void test('messages that were removed before their age, or before they were read', {
  timeout: 600_000,
}, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: { ...lines, lines: lines.lines.slice(0, 20) } });
  assert.deepEqual(await findingsOf(desk), []);
  await empty(nats);
  const gone = await findingsOf(desk);
  assert.match(
    gone[0] ?? '',
    /^gate1 cut-in-stream: messages before \d+ of DOVEGATE_AUDIT_gate1 were removed before their/,
  );
  assert.equal(gone.length, 1);
  assert.deepEqual(await findingsOf(desk), gone, 'told once');
  assert.deepEqual(await findingsOf(desk, '--accept'), []);
  await sendTo(nats, lines, 20, 30);
  assert.deepEqual(await findingsOf(desk), []);
  await sendTo(nats, lines, 30, 40);
  await empty(nats);
  const unread = await findingsOf(desk);
  assert.match(
    unread.join('\n'),
    /messages \d+ to \d+ of DOVEGATE_AUDIT_gate1 were removed before they were read/,
  );
});

void test('a kept line of records that the stream keeps no more: the mirror shows them, or it fails', {
  timeout: 600_000,
}, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: { ...lines, lines: lines.lines.slice(0, 20) } });
  assert.deepEqual(await findingsOf(desk), []);
  const kept = join(nats.folder, 'kept.jsonl');
  writeFileSync(kept, readFileSync(join(desk.state, 'checkpoints.jsonl')));
  const there = await desk.run('verify', '--checkpoint', kept);
  assert.match(there.text, /^the kept line names the ends of 1 journal: all are in the stream$/m);
  await empty(nats);
  await findingsOf(desk);
  assert.deepEqual(await findingsOf(desk, '--accept'), []);
  await sendTo(nats, lines, 20, 30);
  const older = await desk.run('verify', '--checkpoint', kept);
  assert.equal(older.exit, 0, older.text);
  assert.match(
    older.text,
    /^the kept line names the ends of 1 journal: 0 are in the stream, 1 is older and in the mirror$/m,
  );

  rmSync(join(desk.state, 'journals'), { recursive: true });
  assert.deepEqual(await findingsOf(desk), []);
  const gone = await findingsOf(desk, '--checkpoint', kept);
  assert.match(
    gone.join('\n'),
    /^gate1 cut-in-stream: the kept line names record 20, which is older than the stream, and the mirror does not have it/,
  );
  // It is about that line, and does not stand.
  assert.deepEqual(await findingsOf(desk), []);
});

void test('a message that was deleted from between others', { timeout: 600_000 }, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, {});
  await nats.api(`STREAM.DELETE.${stream}`);
  await nats.api(`STREAM.CREATE.${stream}`, {
    name: stream,
    subjects: ['dovegate.audit.gate1.*'],
    storage: 'file',
    discard: 'new',
    allow_direct: true,
  });
  await sendTo(nats, lines, 0, 30);
  // Such a stream is found before anything is deleted.
  const [weak = '', ...none] = await findingsOf(desk);
  assert.match(weak, /^gate1 weakened: .*deny_delete is off \(records can be deleted\), must be on/);
  assert.deepEqual(none, []);
  await nats.api(`STREAM.MSG.DELETE.${stream}`, { seq: 3 });
  const [gone = '', ...others] = await findingsOf(desk);
  assert.match(gone, /^gate1 cut-in-stream: 1 of the messages between the first and the last/);
  assert.deepEqual(others, [weak]);
  assert.deepEqual(await findingsOf(desk), [gone, weak], 'told once');
  assert.match((await findingsOf(desk, '--whole')).join('\n'), /gate1 missing: records 11 to 15/);
});

void test('a watch goes on where the end of the stream is gone', { timeout: 600_000 }, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: { ...lines, lines: lines.lines.slice(0, 20) } });
  await empty(nats);
  const watch = startWatch(nats, desk);
  const isTold = (event: string) => () => watch.of(event, 'never-seen').length > 0;
  await until(isTold('finding'), 'a host that has nothing in the stream is told');

  await sendTo(nats, lines, 0, 20);
  await until(isTold('finding-ended'), 'it reads');
  await until(() => statusOf(desk).gates[0]?.seq === 20, 'it has read all');
  assert.equal((await watch.stop()).code, 0, watch.errors());
});

void test('an end that was lost and filled again in other blocks, and more, is read again', {
  timeout: 600_000,
}, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: { ...lines, lines: lines.lines.slice(0, 20) } });
  await nats.stop();
  nats.copyStore('early');
  await nats.start();
  await sendTo(nats, lines, 20, 30);
  assert.deepEqual(await findingsOf(desk), []);
  await nats.stop();
  nats.restoreStore('early');
  await nats.start();
  // The next message that was not read begins with another record than the one that is expected.
  await sendTo(nats, lines, 20, 45, 10);
  assert.deepEqual(await findingsOf(desk), []);
  assert.equal(statusOf(desk).gates[0]?.seq, 45);
});

void test('a watch that cannot sign ends with a fault; SIGTERM while a server hangs', {
  timeout: 600_000,
}, async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: { ...lines, lines: lines.lines.slice(0, 20) } });
  const key = join(nats.folder, 'checkpoint.pem');
  writeFileSync(key, makeSignKey().secretPem, { mode: 0o600 });
  desk.write({ gate1: patient }, { checkpoint_key: key });
  await nats.freeze();
  const watch = startWatch(nats, desk);
  await until(() => watch.of('stream-away').length > 0, 'it watches');
  rmSync(key);
  nats.thaw();
  assert.equal(await watch.ended, 78, JSON.stringify(watch.events));
  assert.match(watch.errors(), /checkpoint\.pem, the key of checkpoints: there is no such file/);

  writeFileSync(key, makeSignKey().secretPem, { mode: 0o600 });
  await nats.freeze();
  assert.ok(!hasClient(nats));
  const verify = startWatch(nats, desk, 'verify');
  await until(() => hasClient(nats), 'it has reached the server');
  assert.equal((await verify.stop()).code, 75, verify.errors());
  assert.match(verify.errors(), /^dovegate: stopped before the end/);
  nats.thaw();
});

void test('another time of making is the same stream while the last message is there, as it was stored', async (t) => {
  const lab = await openLab(t);
  if (lab === undefined) return;
  const { nats, lines, desk } = lab;
  await fill(nats, { gate1: lines });
  const again = await openDesk(nats, { gate1: patient }, 'admin').run('init');
  assert.match(again.text, /is there already and was not changed/);
  assert.deepEqual(await findingsOf(desk), []);
  const file = join(desk.state, 'state.json');
  const change = (run: (of: { created: string; last: { storedMs: number } }) => void): void => {
    const state = JSON.parse(readFileSync(file, 'utf8'));
    run(state.others.find((each: { readonly stream: string }) => each.stream === stream));
    writeFileSync(file, JSON.stringify(state));
  };
  // As another replica says it after a second CREATE.
  change((state) => {
    state.created = '2026-01-01T00:00:00.000000000Z';
  });
  assert.deepEqual(await findingsOf(desk), []);
  // A stream that was filled again has the message too, stored at another time.
  change((state) => {
    state.created = '2026-01-01T00:00:00.000000000Z';
    state.last.storedMs -= 1;
  });
  assert.match((await findingsOf(desk)).join('\n'), /stream-replaced/);
});
