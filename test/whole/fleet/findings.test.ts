// Goal: whatever is wrong with the trail of a gate is found by the command, with host and seq. Each row of a table is made by hand in
// a folder, by somebody who puts there what no gate would; every row is a host of its own in one store, and all are verified
// at once: what is wrong with one must not show at another one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FleetFinding, FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { openDesk, openTrail } from './fleet-lab.js';
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
  /** Kind and seq, in their order. Empty: nothing is wrong here. */
  readonly found: readonly (readonly [string, number | undefined])[];
  /** Judged anew each time, and never accepted. */
  readonly isState?: boolean;
  /** Its value in `hosts` of fleet.yaml. */
  readonly listed: Readonly<Record<string, string>>;
}

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
const quiet = {};
/** The only one that fleet.yaml does not list. */
const stranger = 'stranger';

function rows(): Row[] {
  const all: Row[] = [];
  const add = (
    host: string,
    what: string,
    /** `journal`: a small one of that host. */
    make: (
      journal: HandJournal,
      host: string,
    ) => Omit<Row, 'what' | 'host' | 'listed'> & Partial<Pick<Row, 'listed'>>,
  ): void => void all.push({ what, host, listed: quiet, ...make(small(host), host) });

  add('whole', 'a gate that works, in three blocks', (_, host) => {
    const journal = small(host).work(20);
    const blocks = [journal.block(1, 7), journal.block(8, 8), journal.block(9)];
    return { blocks, found: [], listed: keyOf(journal) };
  });
  add('renewed', 'a key that named the next one', (_, host) => {
    const [first, second] = [makeSignKey(), makeSignKey()];
    const journal = small(host, { signKey: first });
    journal.checkpoint({ next_key: second.key });
    const next = journal.copy(second).work(2);
    return { blocks: [next.block()], found: [], listed: keyOf(journal) };
  });
  add('changed', 'a byte of a record', (journal) => {
    const line = lineOf(journal, 6).replace('@example.org', '@example.net');
    return { blocks: [replaced(journal, 6, 6, [line])], found: [['changed', 6]] };
  });
  add('rewritten', 'a record, with a hash that fits', (journal) => {
    const line = rewritten(lineOf(journal, 6), (body) => body.replace('@example.org', '@example.net'));
    return { blocks: [replaced(journal, 6, 6, [line])], found: [['unlinked', 7]] };
  });
  add('removed', 'a record out of a block', (journal) => ({
    blocks: [replaced(journal, 6, 6, [])],
    found: [['missing', 6]],
  }));
  add('inserted', 'a record between two', (journal) => {
    const forged = journal.copy(null, 7);
    forged.seal({ time: Date.now(), event: 'log', text: 'nothing happened here' });
    const lines = [lineOf(forged, 8), ...journal.lines.slice(7)];
    return {
      blocks: [replaced(journal, 8, journal.seq, lines)],
      found: [
        ['forked', 8],
        ['unlinked', 9],
      ],
    };
  });
  add('reordered', 'two records in a block', (journal) => ({
    blocks: [replaced(journal, 6, 7, [lineOf(journal, 7), lineOf(journal, 6)])],
    found: [['missing', 6]],
  }));
  add('hole', 'a block that never came', (journal) => ({
    blocks: [journal.block(1, 5), journal.block(9)],
    found: [['missing', 6]],
  }));
  add('doubled', 'records that are in two blocks', (journal) => ({
    blocks: [journal.block(1, 5), journal.block(3, 5), journal.block(4, 9), journal.block(6)],
    found: [],
  }));
  add('cut', "the end of the host's own journal, and then other records", (journal) => {
    const cut = journal.copy(undefined, 7).work(6);
    return {
      blocks: [journal.block(), cut.block(journal.seq + 1)],
      found: [['cut-at-host', journal.seq + 1]],
    };
  });
  add('cut-told', 'the same, where the gate has told it by a mark', (journal) => ({
    blocks: [journal.block(), journal.mark(7)],
    found: [['cut-at-host', 8]],
  }));
  add('forged-retire', 'a beginning that only a retire record without a signature explains', (journal) => {
    const forged = journal.copy(null);
    const place = { segment: '00000001.jsonl', segment_hash: hashOf(lineOf(journal, 7)), oldest_seq: 8 };
    const at = forged.seal({ time: Date.now(), event: 'retire', ...place, action: 'age' });
    const signed = forged.copy(journal.signKey).work(1);
    return {
      blocks: [signed.block(8)],
      found: [
        ['untrusted', at],
        ['missing', 1],
      ],
      listed: keyOf(journal),
    };
  });
  add('appended', 'commands after an orderly stop, and then a start', (journal) => {
    journal.seal({ time: Date.now(), event: 'stop' });
    journal.checkpoint();
    const at = journal.exchange();
    journal.seal({ time: Date.now(), event: 'start', journal: journal.journal, format: 1 });
    journal.checkpoint();
    return { blocks: [journal.block()], found: [['journal-appended', at]], listed: keyOf(journal) };
  });
  add('forked', 'two machines with one journal', (journal) => {
    const twin = journal.copy(undefined, 7).work(3);
    // The store orders names: the block that begins later is read later.
    const found = [
      ['forked', 8],
      ['unlinked', journal.seq + 1],
    ] as const;
    return { blocks: [journal.block(), twin.block(8)], found };
  });
  add('fork-told', 'the same, where the second gate has told it by a mark', (journal) => {
    const mark = journal.copy(undefined, 7).work(3).mark(journal.seq);
    return { blocks: [journal.block(), mark], found: [['forked', journal.seq]] };
  });
  const shared = small('shared-one');
  add('shared-one', 'a journal that comes under two names', () => ({ blocks: [shared.block()], found: [] }));
  add('shared-two', 'the second of these names', (_, host) => {
    const { name, text } = shared.block();
    return { blocks: [{ name: { ...name, host }, text }], found: [['forked', undefined]] };
  });
  add('thrown-away', 'another journal of a known host', (_, host) => {
    const before = small(host);
    const { signKey } = before;
    return {
      blocks: [before.block(), small(host, { signKey }).block()],
      found: [['new-journal', undefined]],
      listed: keyOf(before),
    };
  });
  add('wrong-key', 'signed by another key than the listed one', (journal) => ({
    blocks: [journal.block()],
    found: [['untrusted', journal.seq]],
    listed: keyOf(small('other')),
  }));
  add('changed-key', 'a key that the one before did not name', (journal) => {
    const next = journal.copy(makeSignKey()).work(2);
    return { blocks: [next.block()], found: [['untrusted', next.seq]], listed: keyOf(journal) };
  });
  add('unsigned', 'a checkpoint without signature, where a key is listed', (_, host) => {
    const journal = small(host, { signKey: null });
    return { blocks: [journal.block()], found: [['untrusted', journal.seq]], listed: keyOf(small('other')) };
  });
  add('bad-signature', 'a signature that is not right', (journal) => {
    const last = rewritten(lineOf(journal, journal.seq), (body) =>
      body.replace(/"signature":"..../, '"signature":"AAAA'),
    );
    return {
      blocks: [replaced(journal, journal.seq, journal.seq, [last])],
      found: [['bad-signature', journal.seq]],
    };
  });
  add('garbage', 'an object that is no block', (journal) => {
    const lines = ['never was a record\n'];
    const garbage = journal.blockOf(lines, { first: 6, last: 8, hash: hashOf(lineOf(journal, 8)) });
    return {
      blocks: [journal.block(1, 5), garbage, journal.block(9)],
      // What it holds, and what is not there.
      found: [
        ['malformed', 6],
        ['missing', 7],
      ],
    };
  });
  add('other-name', 'a block whose name tells of other records', (journal) => ({
    blocks: [journal.blockOf(journal.lines, { last: journal.seq + 1 })],
    found: [['malformed', 1]],
  }));
  add(stranger, 'a host that is not listed', (_, host) => ({
    blocks: [small(host).block()],
    found: [['unknown-host', undefined]],
  }));
  add('never', 'a host that never sent anything', () => ({
    blocks: [],
    found: [['never-seen', undefined]],
    isState: true,
  }));
  add('silent', 'a host of which nothing came for longer than permitted', (journal) => {
    const listed = { silent_after: '1s' };
    return { blocks: [journal.block()], found: [['silent', journal.seq]], isState: true, listed };
  });
  add('open', 'an admission without completion', (journal) => {
    const at = journal.exchange({}, false);
    return { blocks: [journal.work(1).block()], found: [['open', at]], isState: true };
  });
  add('other-policy', 'a policy of another version than elsewhere', (journal) => {
    journal.exchange({ version: 'cd'.repeat(32) });
    journal.checkpoint();
    return { blocks: [journal.block()], found: [['differs', undefined]], isState: true };
  });
  add('other-catalog', 'another catalog than elsewhere', (_, host) => ({
    blocks: [small(host, { catalog: 'cb'.repeat(32) }).block()],
    found: [['differs', undefined]],
    isState: true,
  }));
  add('other-program', 'another release than elsewhere', (_, host) => ({
    blocks: [small(host, { program: 'dovegate 0.9.0' }).block()],
    found: [['differs', undefined]],
    isState: true,
  }));
  add('clock', 'a clock that is an hour ahead: in a folder nobody else has the time', (_, host) => ({
    blocks: [new HandJournal({ host, clockMs: 3_600_000 }).work(5).block()],
    found: [],
  }));
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

function expectedOf(table: readonly Row[]): string[] {
  return sorted(
    table.flatMap(({ host, found }) => found.map(([kind, seq]) => `${host} ${kind} ${seq ?? '-'}`)),
  );
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
  const states = table.filter(({ isState }) => isState === true);
  assert.deepEqual(namesOf(accepted.findings), expectedOf(states), textsOf(accepted));
  assert.deepEqual(namesOf((await desk.verify('--whole')).findings), expectedOf(states));
  t.diagnostic(`${table.length} rows, ${first.findings.length} findings`);
});
