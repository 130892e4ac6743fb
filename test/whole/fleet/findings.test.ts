// Goal: whatever is wrong with the trail of a gate is found by the command, with host and seq. Each row of a table is made by hand in
// a folder, by somebody who puts there what no gate would; every row is a host of its own in one store, and all are verified
// at once: what is wrong with one must not show at another one.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { FleetFinding, FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { formatName } from '../../../src/evidence/store/names.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { ends } from '../../kit/plain/program.js';
import { kindsOf, openDesk, openTrail } from './fleet-lab.js';
import {
  type HandBlock,
  HandJournal,
  hashOf,
  type JournalOptions,
  putAll,
  rewritten,
} from './hand-journal.js';

interface Row {
  readonly what: string;
  readonly host: string;
  readonly blocks: readonly HandBlock[];
  /** `KIND SEQ` of each, in their order; `-` without seq. Empty: nothing is wrong here. */
  readonly found: readonly string[];
  /** Its value in `hosts` of fleet.yaml. */
  readonly listed: Readonly<Record<string, string>>;
}

/** What is judged anew each time, and never accepted. */
const states = new Set(['never-seen', 'silent', 'open', 'differs']);

/** A start, five exchanges and a checkpoint. */
function small(host: string, more: Partial<JournalOptions> = {}): HandJournal {
  return new HandJournal({ host, ...more }).work(5);
}

/** By base64, as a person writes it down. */
function keyOf({ signKey }: HandJournal): Row['listed'] {
  return { key: signKey?.key ?? '' };
}

/** Some lines in the place of others, in one block whose name fits. */
function replaced(journal: HandJournal, from: number, to: number, lines: readonly string[]): HandBlock {
  const all = [...journal.lines];
  all.splice(from - 1, to - from + 1, ...lines);
  return journal.blockOf(all);
}

const lineOf = ({ lines }: HandJournal, seq: number): string => lines[seq - 1] ?? '';
/** The only one that fleet.yaml does not list. */
const stranger = 'stranger';

function rows(): Row[] {
  const all: Row[] = [];
  /** `make` has a small journal of that host, and gives its blocks, what is found, and how fleet.yaml lists the host. */
  const add = (
    host: string,
    what: string,
    make: (
      journal: HandJournal,
      host: string,
    ) => readonly [blocks: Row['blocks'], found: Row['found'], listed?: Row['listed']],
  ): void => {
    const [blocks, found, listed = {}] = make(small(host), host);
    all.push({ what, host, blocks, found, listed });
  };

  add('whole', 'a gate that works, in three blocks', (journal) => {
    journal.work(20);
    return [[journal.block(1, 7), journal.block(8, 8), journal.block(9)], [], keyOf(journal)];
  });
  add('renewed', 'a key that named the next one', (_, host) => {
    const [first, second] = [makeSignKey(), makeSignKey()];
    const journal = small(host, { signKey: first });
    journal.checkpoint({ next_key: second.key });
    return [[journal.copy(second).work(2).block()], [], keyOf(journal)];
  });
  add('changed', 'a byte of a record', (journal) => {
    const line = lineOf(journal, 6).replace('@example.org', '@example.net');
    return [[replaced(journal, 6, 6, [line])], ['changed 6']];
  });
  add('rewritten', 'a record, with a hash that fits', (journal) => {
    const line = rewritten(lineOf(journal, 6), (body) => body.replace('@example.org', '@example.net'));
    return [[replaced(journal, 6, 6, [line])], ['unlinked 7']];
  });
  add('removed', 'a record out of a block', (journal) => [[replaced(journal, 6, 6, [])], ['missing 6']]);
  add('inserted', 'a record between two', (journal) => {
    const forged = journal.copy(null, 7);
    forged.seal({ time: Date.now(), event: 'log', text: 'nothing happened here' });
    const lines = [lineOf(forged, 8), ...journal.lines.slice(7)];
    return [[replaced(journal, 8, journal.seq, lines)], ['forked 8', 'unlinked 9']];
  });
  add('reordered', 'two records in a block', (journal) => [
    [replaced(journal, 6, 7, [lineOf(journal, 7), lineOf(journal, 6)])],
    ['missing 6'],
  ]);
  add('hole', 'a block that never came', (journal) => [
    [journal.block(1, 5), journal.block(9)],
    ['missing 6'],
  ]);
  add('doubled', 'records that are in two blocks', (journal) => [
    [journal.block(1, 5), journal.block(3, 5), journal.block(4, 9), journal.block(6)],
    [],
  ]);
  add('cut', "the end of the host's own journal, and then other records", (journal) => {
    const cut = journal.copy(undefined, 7).work(6);
    return [[journal.block(), cut.block(journal.seq + 1)], [`cut-at-host ${journal.seq + 1}`]];
  });
  add('cut-told', 'the same, where the gate has told it by a mark', (journal) => [
    [journal.block(), journal.mark(7)],
    ['cut-at-host 8'],
  ]);
  add('forged-retire', 'a beginning that only a retire record without a signature explains', (journal) => {
    const forged = journal.copy(null);
    const place = { segment: '00000001.jsonl', segment_hash: hashOf(lineOf(journal, 7)), oldest_seq: 8 };
    const at = forged.seal({ time: Date.now(), event: 'retire', ...place, action: 'age' });
    const signed = forged.copy(journal.signKey).work(1);
    return [[signed.block(8)], [`untrusted ${at}`, 'missing 1'], keyOf(journal)];
  });
  add('appended', 'commands after an orderly stop, and then a start', (journal) => {
    journal.seal({ time: Date.now(), event: 'stop' });
    journal.checkpoint();
    const at = journal.exchange();
    journal.seal({ time: Date.now(), event: 'start', journal: journal.journal, format: 1 });
    journal.checkpoint();
    return [[journal.block()], [`journal-appended ${at}`], keyOf(journal)];
  });
  add('forked', 'two machines with one journal', (journal) => {
    const twin = journal.copy(undefined, 7).work(3);
    // The store orders names: the block that begins later is read later.
    return [
      [journal.block(), twin.block(8)],
      ['forked 8', `unlinked ${journal.seq + 1}`],
    ];
  });
  add('fork-told', 'the same, where the second gate has told it by a mark', (journal) => {
    const mark = journal.copy(undefined, 7).work(3).mark(journal.seq);
    return [[journal.block(), mark], [`forked ${journal.seq}`]];
  });
  const shared = small('shared-one').block();
  add('shared-one', 'a journal that comes under two names', () => [[shared], []]);
  add('shared-two', 'the second of these names', (_, host) => [
    [{ ...shared, name: { ...shared.name, host } }],
    ['forked -'],
  ]);
  add('thrown-away', 'another journal of a known host', (before, host) => {
    const next = small(host, { signKey: before.signKey });
    return [[before.block(), next.block()], ['new-journal -'], keyOf(before)];
  });
  add('wrong-key', 'signed by another key than the listed one', (journal) => [
    [journal.block()],
    [`untrusted ${journal.seq}`],
    keyOf(small('other')),
  ]);
  add('changed-key', 'a key that the one before did not name', (journal) => {
    const next = journal.copy(makeSignKey()).work(2);
    return [[next.block()], [`untrusted ${next.seq}`], keyOf(journal)];
  });
  add('unsigned', 'a checkpoint without signature, where a key is listed', (_, host) => {
    const journal = small(host, { signKey: null });
    return [[journal.block()], [`untrusted ${journal.seq}`], keyOf(small('other'))];
  });
  add('bad-signature', 'a signature that is not right', (journal) => {
    const last = rewritten(lineOf(journal, journal.seq), (body) =>
      body.replace(/"signature":"..../, '"signature":"AAAA'),
    );
    return [[replaced(journal, journal.seq, journal.seq, [last])], [`bad-signature ${journal.seq}`]];
  });
  add('garbage', 'an object that is no block', (journal) => {
    const lines = ['never was a record\n'];
    const garbage = journal.blockOf(lines, { first: 6, last: 8, hash: hashOf(lineOf(journal, 8)) });
    // What it holds, and what is not there.
    return [
      [journal.block(1, 5), garbage, journal.block(9)],
      ['malformed 6', 'missing 7'],
    ];
  });
  add('other-name', 'a block whose name tells of other records', (journal) => [
    [journal.blockOf(journal.lines, { last: journal.seq + 1 })],
    ['malformed 1'],
  ]);
  add(stranger, 'a host that is not listed', (journal) => [[journal.block()], ['unknown-host -']]);
  add('never', 'a host that never sent anything', () => [[], ['never-seen -']]);
  add('silent', 'a host of which nothing came for longer than permitted', (journal) => [
    [journal.block()],
    [`silent ${journal.seq}`],
    { silent_after: '1s' },
  ]);
  add('open', 'an admission without completion', (journal) => {
    const at = journal.exchange({}, false);
    return [[journal.work(1).block()], [`open ${at}`]];
  });
  add('other-policy', 'a policy of another version than elsewhere', (journal) => {
    journal.exchange({ version: 'cd'.repeat(32) });
    journal.checkpoint();
    return [[journal.block()], ['differs -']];
  });
  add('other-catalog', 'another catalog than elsewhere', (_, host) => [
    [small(host, { catalog: 'cb'.repeat(32) }).block()],
    ['differs -'],
  ]);
  add('other-program', 'another release than elsewhere', (_, host) => [
    [small(host, { program: 'dovegate 0.9.0' }).block()],
    ['differs -'],
  ]);
  add('clock', 'a clock that is an hour ahead: in a folder nobody else has the time', (_, host) => [
    [small(host, { clockMs: 3_600_000 }).block()],
    [],
  ]);
  return all;
}

/**
 * `HOST KIND SEQ` of each; of one host in the order in which they were found. Hosts are read side by side: of two with one journal it is
 * found at the one that comes second.
 */
function namesOf(findings: readonly FleetFinding[]): string[] {
  const named = ({ host, kind, seq }: FleetFinding): string => `${host} ${kind} ${seq ?? '-'}`;
  return sorted(findings.map((each) => named(each).replace(/^shared-one /, 'shared-two ')));
}

function expectedOf(table: readonly Row[], isExpected = (_kind: string): boolean => true): string[] {
  const named = table.flatMap(({ host, found }) => found.map((each) => [host, each] as const));
  const expected = named.filter(([, each]) => isExpected(each.split(' ', 1).join()));
  return sorted(expected.map((each) => each.join(' ')));
}

function sorted(names: readonly string[]): string[] {
  const hostOf = (name = ''): string => name.split(' ', 1).join('');
  return names.toSorted((one, other) => (hostOf(one) < hostOf(other) ? -1 : 1));
}

function textsOf({ findings }: Pick<FleetStatus, 'findings'>): string {
  return findings.map((finding) => JSON.stringify(finding)).join('\n');
}

test('each row of the table of findings, made by hand in a folder', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  const table = rows();
  for (const { blocks } of table) await putAll(trail.store, blocks);
  const hosts = Object.fromEntries(
    table.flatMap(({ host, listed }) => (host === stranger ? [] : [[host, listed]])),
  );
  const desk = openDesk(t, trail, hosts, { open_after: '1s' });
  // The silent one and the open exchange come of age.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const first = await desk.verify();
  assert.deepEqual(namesOf(first.findings), expectedOf(table), textsOf(first));
  for (const { host, text } of first.findings) assert.ok(text.length > 20, `${host}: ${text}`);

  // A later run reads nothing again, and has all of it in mind.
  assert.deepEqual(namesOf((await desk.verify()).findings), expectedOf(table));
  // What stands in the trail is accepted; what is wrong at this moment stays wrong.
  await desk.verify('--accept');
  const accepted = await desk.verify();
  const lasting = expectedOf(table, (kind) => states.has(kind));
  assert.deepEqual(namesOf(accepted.findings), lasting, textsOf(accepted));
  assert.deepEqual(namesOf((await desk.verify('--whole')).findings), lasting);
  t.diagnostic(`${table.length} rows, ${first.findings.length} findings`);
});

test('empty objects in number before true ones: all records are read, by a new verifier too', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(10);
  const { host, journal: id } = journal;
  await putAll(trail.store, [journal.block()]);
  const hosts = { gate1: keyOf(journal) };
  const desks = [openDesk(t, trail, hosts)];
  await desks[0]?.verify();
  const next = journal.seq + 1;
  for (let count = 0; count < 2_500; count += 1) {
    const hash = String(count).padStart(64, '0');
    // Also of many records: for each there is a finding.
    for (const first of [1, next, ...(count < 100 ? [next + 10 + count] : [])]) {
      const name = { kind: 'block', host, journal: id, first, last: first + 1, hash, isCopy: false } as const;
      writeFileSync(trail.pathOf(name), '');
    }
  }
  await putAll(trail.store, [journal.work(4).block(next)]);
  desks.push(openDesk(t, trail, hosts));
  for (const desk of desks) {
    const { gates, findings: all } = await desk.verify();
    // Of the other verifier's lines it has no key.
    const findings = all.filter(({ host: of }) => of === host);
    assert.deepEqual(
      [gates[0]?.seq, kindsOf({ findings })],
      [journal.seq, ['gate1 changed', 'gate1 too-much']],
    );
    assert.equal((await desk.verify('--accept')).exit, 0);
    assert.equal((await desk.verify('--whole')).exit, 0);
  }
});

test('a hole that is filled under the name of junk, or while all is read again, is none any more', async (t) => {
  for (const isJunk of [true, false]) {
    const trail = openTrail(t);
    const journal = new HandJournal({ host: 'gate1' }).work(10);
    const desk = openDesk(t, trail, { gate1: keyOf(journal) });
    await putAll(trail.store, [journal.block()]);
    for (const flags of [[], ['--whole']]) {
      const { seq } = journal;
      const late = journal.work(5).block(seq + 1);
      const place = trail.pathOf(formatName(late.name));
      if (isJunk) writeFileSync(place, 'junk');
      const { seq: lateEnd } = journal;
      await putAll(trail.store, [journal.work(5).block(lateEnd + 1)]);
      const kinds = isJunk ? ['gate1 changed', 'gate1 missing'] : ['gate1 missing'];
      for (let run = 0; run < 2; run += 1) assert.deepEqual(kindsOf(await desk.verify()), kinds);
      writeFileSync(place, gzipSync(late.text));
      assert.deepEqual(kindsOf(await desk.verify(...flags)), isJunk ? ['gate1 changed'] : []);
      await ends(0, desk.read('verify'));
      await desk.verify('--accept');
    }
  }
});

test('a journal that somebody signed with a key of their own: one acceptance is enough, and new signatures are told', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(10);
  const sign = async (blocks: number): Promise<void> => {
    const foreign = new HandJournal({ host: 'gate1' });
    const tops = Array.from({ length: blocks }, () => foreign.work(1).seq);
    for (const [at, end] of tops.entries())
      await putAll(trail.store, [foreign.block((tops[at - 1] ?? 0) + 1, end)]);
  };
  await putAll(trail.store, [journal.block()]);
  await sign(12);
  // More than are kept.
  for (let journals = 0; journals < 30; journals += 1) await sign(2);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  assert.ok(kindsOf(await desk.verify()).includes('gate1 untrusted'));
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []])
    assert.ok(!kindsOf(await desk.verify(...flags)).includes('gate1 untrusted'), flags.join());
  await new Promise((resolve) => setTimeout(resolve, 50));
  await sign(1);
  assert.ok(kindsOf(await desk.verify()).includes('gate1 untrusted'));
});

test('what somebody removed from the store, and was accepted, is not told again as missing', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' });
  const tops = [0, 1, 2, 3].map(() => journal.work(5).seq);
  const blocks = tops.map((end, at) => journal.block((tops[at - 1] ?? 0) + 1, end));
  await putAll(trail.store, blocks);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  await desk.verify();
  for (const at of [0, 2]) rmSync(trail.pathOf(formatName(blocks[at]?.name ?? assert.fail())));
  assert.deepEqual(kindsOf(await desk.verify()), ['gate1 cut-in-store']);
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []]) {
    const { findings } = await desk.verify(...flags);
    assert.deepEqual(findings, [], flags.join());
  }
  await ends(0, desk.read('verify'));
});

test('the mark of a disk that was put back, far behind the newest blocks, is told once', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' });
  const tops = Array.from({ length: 60 }, () => journal.work(20).seq);
  const blocks = tops.map((end, at) => journal.block((tops[at - 1] ?? 0) + 1, end));
  await putAll(trail.store, blocks);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  await desk.verify();
  const [seq = 0] = tops;
  const hash = hashOf(journal.lines[seq - 1]);
  const mark = formatName({ kind: 'forked', host: 'gate1', journal: journal.journal, seq, hash });
  writeFileSync(trail.pathOf(mark), '');
  for (const flags of [[], [], ['--whole']]) {
    const { findings } = await desk.verify(...flags);
    assert.deepEqual(
      findings.map(({ kind, seq: at }) => [kind, at]),
      [['cut-at-host', seq + 1]],
      flags.join(),
    );
  }
  await desk.verify('--accept');
  for (const flags of [[], ['--whole']]) assert.deepEqual((await desk.verify(...flags)).findings, []);
});

test('more forks than are kept, without a signature: one acceptance is enough, and new ones are told', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(20);
  await putAll(trail.store, [journal.block()]);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  const fork = async (count: number, from: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) {
      const forged = journal.copy(null, from + at);
      forged.exchange({ user: `junk${at}@example.org` });
      await putAll(trail.store, [forged.block(from + at + 1, from + at + 1)]);
    }
  };
  await fork(35, 2);
  assert.deepEqual(kindsOf(await desk.verify()), ['gate1 forked']);
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []]) assert.deepEqual((await desk.verify(...flags)).findings, []);
  // Of a file system a time may be as old as that of a tick before.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await fork(1, 38);
  const { findings } = await desk.verify();
  assert.deepEqual(
    findings.map(({ kind, seq }) => [kind, seq]),
    [['forked', 39]],
  );
});
