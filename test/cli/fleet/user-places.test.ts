// Goal: for every user, a search of the messages that the index names finds what a search of all messages finds; it names no others where
// each record says whom it touches; a file that was changed, or that another key signed, is none; and it stays within its bounds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IndexBuilder, readIndexFile } from '../../../src/cli/fleet/user-places.js';
import { makeSignKey, parseSignKey } from '../../../src/domain/audit/ledger.js';
import { formatHead, subjectOf } from '../../../src/domain/fleet/block.js';
import type { FleetMessage } from '../../../src/domain/fleet/shapes.js';
import { createSearch } from '../../../src/domain/trail/search.js';
import { journal, started } from '../../domain/fleet/paper-stream.js';

const signer = parseSignKey(makeSignKey().secretPem);
const hash = '9a'.repeat(32);

/** A message with these lines, as a gate sends it. */
function messageOf(streamSeq: number, lines: readonly string[], host = 'gate1'): FleetMessage {
  const headers = new Map(formatHead(journal, { kind: 'block', first: 1, last: lines.length, head: hash }));
  return {
    streamSeq,
    storedMs: started + streamSeq,
    subject: subjectOf(host, journal),
    header: (name) => headers.get(name) ?? '',
    bytes: Buffer.from(lines.join('')),
  };
}

function fileOf(builder: IndexBuilder) {
  const file = readIndexFile(Buffer.from(builder.format(signer)), signer.key);
  assert.ok(file !== undefined);
  return file;
}

/** The ids that a search finds in these messages; those without an end have a question mark. */
function found(messages: readonly FleetMessage[], user: string): string[] {
  const searches = new Map<string, ReturnType<typeof createSearch>>();
  const rows = messages.flatMap(({ subject, bytes }) => {
    const search = searches.get(subject) ?? createSearch({ user });
    searches.set(subject, search);
    return search.take(Buffer.from(bytes));
  });
  for (const search of searches.values()) rows.push(...search.finish());
  return rows
    .map(({ fields, completedSeq }) => `${String(fields['id'])}${completedSeq === undefined ? '?' : ''}`)
    .toSorted();
}

/** A line as far as a search reads it. */
function lineOf(seq: number, event: string, id: string, more: More = {}): string {
  return `${JSON.stringify({ seq, time: '2026-11-20T08:00:00.000Z', event, id, ...more })}\n`;
}

type More = Readonly<Record<string, unknown>>;
const many = (text: string) => Array.from({ length: 70 }, (_, at) => `${text}${at}@example.com`);
/** What an admission may say of its users. */
const told: readonly More[] = [
  { users: ['alice@example.com'] },
  { users: ['alice@example.com', 'bob@example.com'], command: 'quota get' },
  { user: 'Alice@Example.com', users: ['alice@example.com'], command: 'quota get' },
  { user: 'bob@example.com', users: ['carol@example.com'], command: 'acl set' },
  { user: undefined, users: [], command: 'service status' },
  { user: undefined, users: ['*'], command: 'quota recalc', args: ['-A'] },
  { user: undefined, users: ['*@example.com'] },
  { user: undefined, users: ['al?ce@example.com', '*@example.org'] },
  { user: undefined, users: [{ cut: 'ali', hmac: hash }] },
  { user: { cut: 'bo', hmac: hash }, users: ['bob@example.com'] },
  { user: undefined, users: ['dora@example.com', { more: 12 }] },
  { user: 'dora"\\]@example.com', users: ['dora"\\]@example.com'], command: 'quota get' },
  { user: 'jörg@example.com', users: ['jörg@example.com'], command: 'quota get' },
  { users: undefined, user: 'alice@example.com', args: ['--', 'INBOX'] },
  { users: undefined, user: undefined, args: ['-A', 'quota'] },
  { users: undefined, user: undefined, args: ['user=erik@example.com', 'f*@example.com'] },
  { users: undefined, user: 'bob@example.com', args: [{ cut: 'al', hmac: hash }] },
  { users: undefined, user: 'bob@example.com', args: [{ more: 3 }] },
  { users: undefined, user: 'bob@example.com', args: many('erik') },
  { users: ['bob@example.com'], user: 'bob@example.com', args: [], argument_records: 1 },
  { users: many('bob'), user: undefined },
  { users: [`${'x'.repeat(300)}@example.com`], user: `${'x'.repeat(300)}@example.com` },
  { users: ['bob@example.com'], peer: { uid: 1, user: 'alice@example.com' } },
  { users: ['bob@example.com'], text: 'no user alice@example.com' },
  {
    command: 'quota get',
    user: 'bob@example.com',
    users: ['bob@example.com'],
    peer: { user: 'alice@example.com' },
  },
  { peer: { exe: 'a}b', user: 'alice@example.com' }, command: 'quota get', users: ['bob@example.com'] },
];
const patterns = [
  'alice@example.com',
  'Alice@Example.com',
  'bob@example.com',
  'carol@example.com',
  'dora@example.com',
  'dora"\\]@example.com',
  'jörg@example.com',
  'erik@example.com',
  'frank@example.com',
  'frank@example.org',
  'bob7@example.com',
  'erik69@example.com',
  'nobody',
  'b?b@example.com',
  'INBOX',
  '*@example.com',
  'a*',
  '*bob*',
  'x*',
  `${'x'.repeat(300)}@example.com`,
];

/** Each record in a message of its own: admissions, then the ends of most of them. */
function spread(): FleetMessage[] {
  const lines = told.map((more, at) =>
    lineOf(at + 1, 'admission', `E${at}`, { user: 'zoe@example.com', decision: 'allow', ...more }),
  );
  for (const [at] of told.entries())
    if (at % 5 !== 4) lines.push(lineOf(lines.length + 1, 'completion', `E${at}`, { outcome: 'ok' }));
  return lines.map((line, at) => messageOf(at + 1, [line]));
}

/** An admission of one command, which says whom it touches. */
function admissionOf(seq: number, id: string, ...users: readonly string[]): string {
  return lineOf(seq, 'admission', id, { command: 'quota get', user: users[0], args: [], users });
}

void test('the messages that it names hold all that a search of everything finds', () => {
  const messages = spread();
  const builder = new IndexBuilder('S', 1);
  for (const message of messages) builder.take(message, true);
  const file = fileOf(builder);
  assert.deepEqual([file.stream, file.from, file.to], ['S', 1, messages.length]);
  for (const user of patterns) {
    const seqs = new Set(file.find(user).map(({ streamSeq }) => streamSeq));
    const named = messages.filter(({ streamSeq }) => seqs.has(streamSeq));
    assert.deepEqual(found(named, user), found(messages, user), user);
  }
  // Everybody's commands and those that nobody can tell, and no other.
  assert.ok(file.find('nobody').length < messages.length / 2);
});

void test('it names only what concerns the user, and the ends of that', () => {
  const lines = ['a@x', 'b@x', 'a@x'].map((user, at) => admissionOf(at + 1, `E${at}`, user));
  lines.push(lineOf(4, 'completion', 'E0'));
  const builder = new IndexBuilder('S', 1);
  for (const [at, line] of lines.entries()) builder.take(messageOf(at + 1, [line]), true);
  const seqsOf = (user: string) =>
    fileOf(builder)
      .find(user)
      .map(({ streamSeq }) => streamSeq);
  assert.deepEqual(seqsOf('a@x'), [1, 3, 4]);
  assert.deepEqual(seqsOf('b@x'), [2]);
  assert.deepEqual(seqsOf('c@x'), []);
});

void test('a file goes on where it ended, and what it waited for stands under everybody', () => {
  const messages = spread();
  const half = told.length;
  const first = new IndexBuilder('S', 1);
  for (const message of messages.slice(0, half)) first.take(message, true);
  const second = IndexBuilder.resume(fileOf(first));
  for (const message of messages.slice(half)) second.take(message, true);
  const file = fileOf(second);
  assert.equal(file.to, messages.length);
  for (const user of patterns) {
    const seqs = new Set(file.find(user).map(({ streamSeq }) => streamSeq));
    const named = messages.filter(({ streamSeq }) => seqs.has(streamSeq));
    assert.deepEqual(found(named, user), found(messages, user), user);
  }
});

void test('changed at any place, or signed by another key: it is none', () => {
  const builder = new IndexBuilder('S', 1);
  for (const message of spread()) builder.take(message, true);
  const bytes = Buffer.from(builder.format(signer));
  assert.ok(readIndexFile(bytes, signer.key) !== undefined);
  for (let at = 0; at < bytes.length; at += 97) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(readIndexFile(changed, signer.key), undefined, `byte ${at}`);
  }
  for (const length of [0, 1, 100, bytes.length - 2, bytes.lastIndexOf(0x0a, -2) + 1])
    assert.equal(readIndexFile(bytes.subarray(0, length), signer.key), undefined, `cut at ${length}`);
  const other = parseSignKey(makeSignKey().secretPem);
  assert.equal(readIndexFile(Buffer.from(builder.format(other)), signer.key), undefined);
});

// bounds.fleetIndexEntries, bounds.fleetIndexMessages
void test('a file is full with 100,000 entries, or 4096 messages', () => {
  const builder = new IndexBuilder('S', 1);
  for (let at = 0; at < 1000; at += 1) {
    assert.ok(!builder.isFull, `after ${at}`);
    const users = Array.from({ length: 100 }, (_, each) => `u${at}-${each}@x`);
    builder.take(messageOf(at + 1, [admissionOf(1, 'E', ...users)]), true);
  }
  assert.ok(builder.isFull);
  const small = new IndexBuilder('S', 1);
  const line = admissionOf(1, 'E', 'a@x');
  for (let at = 1; at <= 4096; at += 1) {
    assert.ok(!small.isFull);
    small.take(messageOf(at, [line]), true);
  }
  assert.ok(small.isFull);
});

// bounds.fleetIndexOpen
void test('of more than 20,000 open commands the end of the oldest one stands under everybody', () => {
  const builder = new IndexBuilder('S', 1);
  const admissions = Array.from({ length: 20_001 }, (_, at) => admissionOf(at + 1, `E${at}`, 'a@x'));
  builder.take(messageOf(1, admissions), true);
  builder.take(messageOf(2, [lineOf(20_002, 'completion', 'E0')]), true);
  builder.take(messageOf(3, [lineOf(20_003, 'completion', 'E1')]), true);
  const seqsOf = (user: string) =>
    fileOf(builder)
      .find(user)
      .map(({ streamSeq }) => streamSeq);
  assert.deepEqual(seqsOf('a@x'), [1, 2, 3]);
  assert.deepEqual(seqsOf('b@x'), [2]);
});
