// Goal: a search over all hosts gives the newest commands first, whatever order their messages have, and the same rows with the index,
// without it, and with an index that somebody damaged, forged, put back or took from another stream. Phases: three hosts with records at
// equal times; the index in each of these states; a message that is gone; the stream made again with other messages. What must not happen:
// a command that is in the stream and not in the answer.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openNats } from '../../src/adapters/nats/link.js';
import { indexKeyOf } from '../../src/cli/fleet/checkpoints.js';
import { newNotes } from '../../src/cli/fleet/fleet-search.js';
import { readIndex } from '../../src/cli/fleet/index-folder.js';
import { findRows } from '../../src/cli/fleet/stream-rows.js';
import { openStreams } from '../../src/cli/fleet/streams.js';
import { IndexBuilder } from '../../src/cli/fleet/user-places.js';
import { makeSignKey, parseSignKey } from '../../src/domain/audit/ledger.js';
import { openNatsServer } from '../kit/nats.js';
import { openAdministrator } from './administrator.js';
import { openDesk, skipOf } from './fleet-lab.js';
import { HandJournal } from './hand-journal.js';

const prefix = 'DOVEGATE_AUDIT';
const stream = `${prefix}_gate1`;
const alice = 'alice@example.org';
const startMs = Date.UTC(2026, 10, 20, 8);

void test('a search over all hosts, and the index that it uses', { timeout: 300_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2', 'gate3'] });
  if (skipOf(t, nats)) return;
  const admin = await openAdministrator(t, nats);
  await admin.createStreams();
  const gates = ['gate1', 'gate2', 'gate3'].map((host) => new HandJournal({ host }));
  const hosts = Object.fromEntries(
    gates.map(({ host, signKey }) => [host, { key: signKey?.key ?? '', silent_after: '1d' }]),
  );
  const desk = openDesk(nats, hosts);
  desk.write(hosts, { drift: '3650d', open_after: '1d' });
  const index = join(desk.state, 'index');
  const keyFile = join(desk.state, 'checkpoint.key');

  /** A command of each host at each of these seconds, and others between them; one message for each record. */
  const publish = async (seconds: readonly number[], order = gates): Promise<void> => {
    for (const gate of order) {
      const from = gate.seq === 1 ? 1 : gate.seq + 1;
      for (const second of seconds) {
        const time = startMs + second * 1000;
        gate.exchange({ time, user: alice, users: [alice] });
        gate.exchange({ time, user: 'bob@example.org', users: ['bob@example.org'] });
      }
      await admin.publish(
        ...Array.from({ length: gate.seq - from + 1 }, (_, at) => gate.block(from + at, from + at)),
      );
    }
  };
  type Row = Readonly<Record<string, unknown>>;
  const search = async (...flags: string[]) => {
    const { exit, stdout, stderr } = await desk.run('search', '--json', '--user', alice, ...flags);
    const lines = stdout
      .toString()
      .split('\n')
      .filter((line) => line !== '');
    const rows = lines.map((line): Row => JSON.parse(line));
    return {
      exit,
      stderr,
      ids: rows.map((row) => `${String(row['time']).slice(17, 19)} ${String(row['host'])}`),
      rows,
    };
  };
  /** Messages that were read without the index. */
  const unindexed = async (): Promise<number> => {
    const { signal } = new AbortController();
    const { link, streams } = await openStreams(nats.settingsOf('verifier'), prefix, [], signal);
    const key = await indexKeyOf(link, {
      stream: prefix,
      state: desk.state,
      verifiers: new Map(),
    });
    const notes = newNotes();
    for (const { stream: each, info } of streams) {
      const files = key === undefined ? [] : readIndex(desk.state, each.name, key);
      const found = findRows(
        { link, stream: each, info, index: files },
        { user: alice },
        undefined,
        notes,
        signal,
      );
      for await (const _ of found);
    }
    await link.close();
    assert.deepEqual([...notes.faults], []);
    return notes.unindexed;
  };

  const expected = ['gate1', 'gate2', 'gate3'];
  await t.test('newest first over all hosts, and by host at one time', async () => {
    // The last host sends first, and what is newest comes first.
    await publish([10, 20, 30], gates.toReversed());
    await publish([5], gates);
    const done = await desk.run('verify');
    assert.equal(done.exit, 0, done.text);
    const { ids, rows } = await search();
    assert.deepEqual(
      ids,
      [30, 20, 10, 5].flatMap((second) =>
        expected.map((host) => `${String(second).padStart(2, '0')} ${host}`),
      ),
    );
    assert.ok(rows.every((row) => row['outcome'] === 'ok'));
    assert.deepEqual((await search('--host', 'gate2')).ids, ['30 gate2', '20 gate2', '10 gate2', '05 gate2']);
    const few = await search('--limit', '4');
    assert.deepEqual(few.ids, ['30 gate1', '30 gate2', '30 gate3', '20 gate1']);
    assert.match(few.stderr, /8 older commands are not shown/);
    assert.deepEqual(
      (await search('--until', '2026-11-20T08:00:10Z')).ids,
      expected.map((host) => `05 ${host}`),
    );
    assert.equal((await desk.run('search', '--limit', '0')).exit, 64);
    assert.equal(await unindexed(), 0, 'the index covers all streams');
  });

  const whole = (await search()).ids;
  // One of them is the checkpoint.
  const messages = ((await admin.count()).messages - 1) / gates.length;
  const names = readdirSync(index);
  const good = join(nats.folder, 'good-index');
  cpSync(index, good, { recursive: true });
  const path = join(index, names.toSorted()[0] ?? '');
  const restore = (): void => {
    rmSync(index, { recursive: true, force: true });
    cpSync(good, index, { recursive: true });
  };
  assert.equal(names.length, gates.length);

  await t.test('an index that is not there, damaged, or of another stream', async () => {
    const tear: Readonly<Record<string, () => void>> = {
      removed: () => rmSync(index, { recursive: true }),
      'a file of no text': () => writeFileSync(path, ''),
      'without alice': () =>
        writeFileSync(path, readFileSync(path, 'utf8').replace(/^"alice@example\.org" .*\n/m, '')),
      'cut in the middle': () => writeFileSync(path, readFileSync(path).subarray(0, 300)),
      'a folder in its place': () => {
        rmSync(path);
        mkdirSync(path);
      },
    };
    for (const [what, run] of Object.entries(tear)) {
      run();
      assert.deepEqual((await search()).ids, whole, what);
      assert.ok((await unindexed()) >= messages, what);
      restore();
    }
    assert.equal(await unindexed(), 0);
  });

  await t.test('an index that somebody forged, with a key of his own in the state', async () => {
    const { secretPem } = makeSignKey();
    const forged = new IndexBuilder(stream, 1);
    const link = await openNats(nats.settingsOf('verifier'));
    for await (const message of link.read(
      stream,
      { streamSeq: 1 },
      { subject: '>', untilSeq: messages, signal: new AbortController().signal },
    )) {
      const header = (name: string): string => message.header(name);
      forged.take({ ...message, header, bytes: Buffer.alloc(0) }, true);
    }
    await link.close();
    assert.equal(forged.to, messages);
    const own = readFileSync(keyFile);
    writeFileSync(path, forged.format(parseSignKey(secretPem)));
    assert.deepEqual((await search()).ids, whole, 'signed by another key');
    writeFileSync(keyFile, secretPem);
    assert.deepEqual((await search()).ids, whole, 'and that key lies in the state');
    writeFileSync(keyFile, own);
    restore();
  });

  await t.test('an index that is older than the stream', async () => {
    await publish([40]);
    const later = [...expected.map((host) => `40 ${host}`), ...whole];
    assert.deepEqual((await search()).ids, later, 'the verifier has not read them yet');
    assert.equal(await unindexed(), 12, 'four of each host');
    assert.equal((await desk.run('verify')).exit, 0);
    assert.equal(await unindexed(), 0);
    restore();
    assert.deepEqual((await search()).ids, later, 'an earlier one was put back');
    // The next verify goes on behind it; what is between is read.
    await publish([50]);
    assert.equal((await desk.run('verify')).exit, 0);
    assert.deepEqual((await search()).ids, [...expected.map((host) => `50 ${host}`), ...later]);
    assert.equal((await desk.run('verify', '--whole')).exit, 0);
    assert.equal(await unindexed(), 0, 'it was made again');
  });

  await t.test('a stream that was made again with other messages, and one that is gone', async () => {
    const before = (await search()).ids;
    const { config } = await nats.api(`STREAM.INFO.${stream}`);
    await admin.deleteStreams();
    await admin.createStreams(['gate2', 'gate3']);
    await nats.api(`STREAM.CREATE.${stream}`, { ...Object(config), deny_delete: false });
    const lineOf = (gate: HandJournal, seq: number) => gate.block(seq, seq);
    // The same records, but the index names messages that are others now.
    for (const gate of gates) await admin.publish(...gate.lines.map((_, at) => lineOf(gate, at + 1)));
    const again = await search();
    assert.deepEqual([again.exit, again.ids], [0, before], again.stderr);
    assert.equal((await desk.run('verify', '--whole')).exit, 1, 'the stream was replaced');
    assert.equal(await unindexed(), 0);
    // Record 2 of the first gate is its first command for alice.
    const deleted = await nats.api(`STREAM.MSG.DELETE.${stream}`, { seq: 2 });
    assert.equal(deleted['success'], true, JSON.stringify(deleted));
    const { exit, stderr, ids } = await search();
    assert.equal(exit, 1);
    assert.match(stderr, /message 2 of DOVEGATE_AUDIT_gate1, records 2 to 2 of gate1, is not there any more/);
    assert.deepEqual(
      ids,
      before.filter((id) => id !== '10 gate1'),
    );
  });
});

void test('a stream for each host: one search, one report, and an index of each stream', async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const gates = ['gate1', 'gate2'].map((host) => new HandJournal({ host }));
  const hosts = Object.fromEntries(
    gates.map(({ host, signKey }) => [host, { key: signKey?.key ?? '', silent_after: '1d' }]),
  );
  const made = await openDesk(nats, hosts, 'admin').run('init');
  assert.equal(made.exit, 0, made.text);
  const admin = await openAdministrator(t, nats);
  const startedMs = Date.now();
  for (const [at, gate] of gates.toReversed().entries()) {
    for (const second of [1, 3, 5])
      gate.exchange({ time: startedMs + second * 2 + at, user: alice, users: [alice] });
    gate.checkpoint();
    await admin.publish(gate.block());
  }
  const desk = openDesk(nats, hosts);
  const verified = await desk.run('verify');
  assert.equal(verified.exit, 0, verified.text);
  const names = readdirSync(join(desk.state, 'index')).filter((name) => name.includes('gate'));
  assert.deepEqual(names.toSorted(), [
    'DOVEGATE_AUDIT_gate1-0000000000000001.jsonl',
    'DOVEGATE_AUDIT_gate2-0000000000000001.jsonl',
  ]);
  const hostsOf = async (...args: string[]): Promise<string[]> => {
    const done = await desk.run(...args, '--json');
    assert.equal(done.exit, 0, done.text);
    const rows = done.stdout.toString().trimEnd().split('\n');
    return rows.map((line) => JSON.parse(line).host).filter((host) => host !== undefined);
  };
  const newest = ['gate1', 'gate2', 'gate1', 'gate2', 'gate1', 'gate2'];
  assert.deepEqual(await hostsOf('search', '--user', alice), newest);
  assert.deepEqual(await hostsOf('search', '--user', alice, '--host', 'gate2'), ['gate2', 'gate2', 'gate2']);
  assert.equal((await hostsOf('report', '--mailbox', alice)).length, 6);
  rmSync(join(desk.state, 'index'), { recursive: true });
  assert.deepEqual(await hostsOf('search', '--user', alice), newest);
});
