// Goal: a peer of each minor gets rows, log lines and status lines in its framing and in their order, in one write a group.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saidOfStatus } from '../../../src/doveadm/codes/codes.js';
import { replyRows } from '../../../src/doveadm/meaning/columns.js';
import { parseStatus } from '../../../src/doveadm/reply/reply.js';
import { isLineOfOther } from '../../../src/gate/relay/relay.js';
import { createRowPrefixer, type RefusalCell, ReplyWriter } from '../../../src/gate/relay/reply-writer.js';
import { accept } from '../../doveadm/commands/reading.js';
import { rowsOf } from '../../kit/gate/memory-backend.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { createDemux, framingBetween } from '../../kit/plain/framing.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

/** A writer for a minor, and what reached its peer so far: text by channel, in pieces of one channel each. */
function open(minor: number, refusalCell: RefusalCell = false) {
  const { transport, peer } = createMemoryTransport();
  const writer = new ReplyWriter(transport, minor, refusalCell);
  const arrived = (): string[] => {
    const pieces: { channel: number; text: string }[] = [];
    for (const { channel, bytes } of createDemux(framingBetween(minor, minor)).push(peer.received())) {
      const last = pieces.at(-1);
      if (last?.channel === channel) last.text += String(bytes);
      else pieces.push({ channel, text: String(bytes) });
    }
    return pieces.map(({ channel, text }) => `${channel === 0 ? 'out' : 'log'} ${text}`);
  };
  return { transport, peer, writer, arrived };
}

const minors = [0, 1, 2, 3, 4];

for (const minor of minors) {
  void test(`minor ${minor}: a log line goes in front of the status, to whom may have it`, () => {
    const { writer, arrived } = open(minor);
    assert.equal(writer.hasLogChannel, minor === 1 || minor === 2);
    writer.addBody(Buffer.from('a\tb\t'));
    writer.addLog('error', 'one\ntwo');
    writer.addRawStatus(Buffer.from('-NOUSER'));
    assert.deepEqual(arrived(), [], 'nothing leaves before the flush');
    assert.equal(writer.flush(0), undefined);
    const hasLog = minor === 1 || minor === 2;
    assert.deepEqual(
      arrived(),
      hasLog ? ['out a\tb\t', 'log \x04one\n\x04two\n', 'out \n-NOUSER\n'] : ['out a\tb\t\n-NOUSER\n'],
    );
    writer.passLogs();
    assert.equal(writer.hasLogChannel, minor > 0);
    writer.addLog('info', 'more');
    writer.addStatus('');
    assert.equal(writer.flush(0), undefined);
    assert.equal(arrived().includes('log \x02more\n'), minor > 0);
    assert.match(arrived().at(-1) ?? '', /\n\+\n$/);
  });
}

void test('bytes of the output channel are counted as the client sees them, framing and logs not', () => {
  for (const minor of minors) {
    const { writer } = open(minor);
    writer.addBody(Buffer.from('12345\t'));
    assert.equal(writer.bytesOut, 6);
    writer.addRawStatus(Buffer.from('-NOUSER'));
    assert.equal(writer.bytesOut, 15);
    writer.addStatus('TEMPFAIL');
    assert.equal(writer.bytesOut, 15 + '\n-TEMPFAIL\n'.length);
    writer.addLog('error', 'x');
    assert.equal(writer.bytesOut, 26);
    void writer.flush(0);
    assert.equal(writer.bytesOut, 26);
  }
});

void test('`all`: each empty reply has one empty cell for minor 0; one with rows, and other minors, have none', () => {
  for (const minor of minors) {
    const { writer, arrived } = open(minor, 'all');
    writer.addStatus('');
    writer.addRawStatus(Buffer.from('-NOUSER'));
    writer.addBody(Buffer.from('a\t'));
    writer.addStatus('');
    assert.equal(writer.flush(0), undefined);
    const cell = minor === 0 ? '\t' : '';
    assert.equal(arrived().join(''), `out ${cell}\n+\n${cell}\n-NOUSER\na\t\n+\n`);
  }
});

void test('a refusal is one cell for minor 0 where the listener says so, and not after rows; for other minors it never is', () => {
  const said = { code: 'denied', sentence: 'denied (no rule\tallows\n"x")' } as const;
  const cell = 'dovegate: denied (no rule\x01tallows "x") [denied]\t';
  for (const [minor, asked] of minors.flatMap((each) => [[each, true] as const, [each, 'all'] as const])) {
    for (const isPassed of [false, true]) {
      const { writer, arrived } = open(minor, asked);
      if (isPassed) writer.passLogs();
      writer.refuse(said, 'NOPERM');
      assert.equal(writer.flush(0), undefined);
      const answer = arrived().at(-1);
      assert.equal(answer, minor === 0 ? `out ${cell}\n-NOPERM\n` : 'out \n-NOPERM\n');
      assert.equal(arrived().length, writer.hasLogChannel ? 2 : 1);
    }
  }
  const { writer, arrived } = open(0, true);
  writer.addBody(Buffer.from('a\t'));
  writer.refuse(said, 'TEMPFAIL');
  writer.refuse(said, 'TEMPFAIL');
  assert.equal(writer.flush(0), undefined);
  assert.deepEqual(arrived(), [`out a\t\n-TEMPFAIL\n${cell}\n-TEMPFAIL\n`]);
  const other = open(0);
  other.writer.refuse(said, 'NOPERM');
  assert.equal(other.writer.flush(0), undefined);
  assert.deepEqual(other.arrived(), ['out \n-NOPERM\n']);
});

// Goal: rows of several replies are joined whole, however they are cut; what breaks off leaves no trace in others.
import * as fc from 'fast-check';
import { createJoinedTarget, type RelayTarget } from '../../../src/gate/relay/reply-writer.js';

function createTarget(): RelayTarget & { text(): string; logs: string[] } {
  const parts: Buffer[] = [];
  const logs: string[] = [];
  return {
    logs,
    expect: () => true,
    addBody: (bytes) => void parts.push(Buffer.from(bytes)),
    addLog: (_type, text) => void logs.push(text),
    say: () => undefined,
    addRawStatus: () => assert.fail('a status line went out'),
    flush: () => undefined,
    takenBytes: 0,
    text: () => Buffer.concat(parts).toString('latin1'),
  };
}

void test('any cuts and any order: every whole row, in the order of its reply', () => {
  const reply = fc.record({
    rows: fc.array(fc.array(fc.stringMatching(/^[a-z]{0,6}$/), { minLength: 3, maxLength: 3 }), {
      maxLength: 6,
    }),
    rest: fc.constantFrom('', 'half', 'one\t', 'one\ttwo\t', 'one\ttwo\tthr'),
  });
  fc.assert(
    fc.property(
      fc.array(reply, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.nat(9)),
      (replies, cuts) => {
        const target = createTarget();
        const flows = replies.map(({ rows, rest }, index) => ({
          joiner: createJoinedTarget(target, 3),
          left: Buffer.from(
            rows.map((row) => row.map((cell) => `${index}${cell}\t`).join('')).join('') + rest,
          ),
        }));
        while (flows.some(({ left }) => left.length > 0)) {
          for (const flow of flows) {
            const size = cuts.next().value;
            flow.joiner.addBody(flow.left.subarray(0, size));
            flow.left = flow.left.subarray(size);
            flow.joiner.addRawStatus(Buffer.from('-TEMPFAIL'), '');
          }
        }
        const cells = target.text().split('\t').slice(0, -1);
        assert.equal(cells.length % 3, 0);
        const joined = replies.map((): string[][] => []);
        for (let at = 0; at < cells.length; at += 3) {
          const row = cells.slice(at, at + 3);
          const [owner = ''] = row[0] ?? '';
          for (const cell of row) assert.equal(cell[0], owner, 'a row of two replies');
          joined[Number(owner)]?.push(row.map((cell) => cell.slice(1)));
        }
        assert.deepEqual(
          joined,
          replies.map(({ rows }) => rows),
        );
      },
    ),
  );
});

// bounds.rowBytes
void test('a row without an end has a limit', () => {
  const joiner = createJoinedTarget(createTarget(), 2);
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  for (let count = 0; count < 4; count += 1) joiner.addBody(chunk);
  assert.throws(() => joiner.addBody(chunk));
});

void test('log lines pass, status lines do not', () => {
  const target = createTarget();
  for (const each of [createJoinedTarget(target, 1), createJoinedTarget(target, undefined)]) {
    each.addLog('info', 'text');
    each.addRawStatus(Buffer.from('-NOTFOUND'), '');
    each.addBody(Buffer.from('cell\t'));
  }
  assert.deepEqual(target.logs, ['text', 'text']);
  assert.equal(target.text(), 'cell\tcell\t');
});

void test('a reply that ends within a row has not succeeded, whatever it says; its failure is passed over as any', () => {
  for (const rest of ['half', 'one\t']) {
    const joiner = createJoinedTarget({ ...createTarget(), addRawStatus: () => undefined }, 2);
    joiner.addBody(Buffer.from(`a\tb\t${rest}`));
    joiner.addRawStatus(Buffer.from('-TEMPFAIL'), '');
    assert.throws(() => joiner.addRawStatus(Buffer.from('+'), ''), { code: 'bad-frame' });
  }
  const whole = createJoinedTarget(createTarget(), 2);
  whole.addBody(Buffer.from('a\tb\t'));
  whole.addRawStatus(Buffer.from('+'), '');
});

const rowsOfAll = replyRows(accept('2.4', ['mailbox status', 'all', '*'])) ?? rowsOf(0);

test('the name stands in front of each row, however the reply is cut', () => {
  const body = Buffer.from('a\t\tlong cell\td\te\tf\t');
  let count = 0;
  for (const { chunks } of chunkings(body)) {
    const prefixer = createRowPrefixer('bo\tb', rowsOf(3));
    const whole = Buffer.concat([...chunks.flatMap((chunk) => prefixer.push(chunk)), ...prefixer.end(true)]);
    assert.equal(whole.toString(), 'bo\x01tb\ta\t\tlong cell\tbo\x01tb\td\te\tf\t');
    count += 1;
  }
  assert.ok(count > body.length);
});

test('no rows, no name', () => {
  assert.deepEqual(createRowPrefixer('bob', rowsOf(2)).push(Buffer.alloc(0)), []);
  assert.deepEqual(createRowPrefixer('bob', rowsOf(2)).end(true), []);
  assert.deepEqual(createRowPrefixer('bob', rowsOfAll).end(true), []);
});

const guid = '0123456789abcdef0123456789abcdef';
const older = `INBOX\t3\t0\t4\t99\t3\t7\t1200\t${guid}\t1700000000\t`;
const newer = `INBOX\t3\t0\t1\t4\t99\t3\t7\t1200\t${guid}\t1700000000\t`;

test('mailbox status all: the first row shows how many cells it has', () => {
  for (const row of [older, newer])
    for (const { chunks } of chunkings(Buffer.from(row + row.replace('INBOX', guid)))) {
      const prefixer = createRowPrefixer('bob', rowsOfAll);
      const whole = Buffer.concat([
        ...chunks.flatMap((chunk) => prefixer.push(chunk)),
        ...prefixer.end(true),
      ]);
      assert.equal(whole.toString(), `bob\t${row}bob\t${row.replace('INBOX', guid)}`);
    }
});

test('cells that no known release sends are never split into rows', () => {
  const unknown = Buffer.from(newer.replace('INBOX', 'INBOX\t1').repeat(2));
  const isBad = { name: 'WireFault', code: 'bad-frame' };
  assert.throws(() => createRowPrefixer('bob', rowsOfAll).push(unknown), isBad);
  // A reply that ends within its first row.
  const prefixer = createRowPrefixer('bob', rowsOfAll);
  assert.deepEqual(prefixer.push(Buffer.from(older.slice(0, 20))), []);
  assert.throws(() => prefixer.end(true), isBad);
  // A whole number of rows, and one cell.
  const odd = createRowPrefixer('bob', rowsOf(2));
  odd.push(Buffer.from('a\tb\tc\t'));
  assert.deepEqual(odd.end(false), []);
  assert.throws(() => odd.end(true), isBad);
});

// bounds.rowBytes
test('the start of a first row is held up to a limit', () => {
  const prefixer = createRowPrefixer('bob', rowsOfAll);
  const megabyte = Buffer.alloc(1024 * 1024, 'x');
  for (let sent = 1; sent <= 4; sent += 1) assert.deepEqual(prefixer.push(megabyte), []);
  assert.throws(() => prefixer.push(megabyte), { name: 'WireFault', code: 'bad-frame' });
});

const status = (line: string) => parseStatus(Buffer.from(line));

test('a failure becomes a sentence of ours, never the text of the backend', () => {
  const said = (line: string, lastText: string): string => {
    const { code, sentence } = saidOfStatus(status(line).code, lastText);
    return `${code}: ${sentence.replace('the backend says: ', '')}`;
  };
  assert.equal(said('-NOUSER', ''), 'backend-failed: no such user');
  assert.equal(said('-UNKNOWN', 'save: Quota exceeded (mailbox for user is full)'), 'over-quota: over quota');
  assert.equal(said('-UNKNOWN', '/srv/mail/alice: secret path'), 'backend-failed: the command failed');
  assert.equal(said('-', ''), 'backend-failed: the command failed');
  const create = "cmd mailbox create: Can't create mailbox Archive: ";
  assert.equal(said('-DATAERR', `${create}Mailbox already exists`), 'exists: it exists already');
  assert.equal(
    said('-DATAERR', `${create}x already exists: Invalid name`),
    'backend-failed: it does not accept the value',
  );
  // A status word of a backend is not text of ours: what is not known has one sentence.
  assert.equal(said('-constructor', ''), 'backend-failed: the command failed');
});

// [user of the command, line, whether it names somebody else]
const lines: readonly (readonly [string, string, boolean])[] = [
  ['alice@example.org', "doveadm(alice@example.org)<12><ab+c>: User doesn't exist", false],
  ['alice@example.org', 'doveadm(ALICE@example.org): text', false],
  ['alice@example.org', 'doveadm(bob@example.org)<12><x>: text', true],
  ['alice@example.org', "doveadm(127.0.0.1,alice@example.org): User doesn't exist", false],
  ['alice@example.org', 'doveadm(127.0.0.1,bob@example.org): text', true],
  ['alice@example.org', 'remote(192.0.2.1:24245): doveadm(bob@example.org): text', true],
  ['alice@example.org', 'Mailbox INBOX: no prefix at all (2.3.13)', false],
  ['alice@example.org', 'doveadm(10.0.0.1,root): User no longer exists', true],
  // A file of -F comes back line by line as names of users.
  [
    'alice@example.org',
    'doveadm(10.0.0.1,root:x:0:0:root:/root:/bin/bash): User no longer exists, skipping',
    true,
  ],
  // Behind one's own prefix, behind a proxy's, among addresses, in capitals, with letters that fold into those of the own name.
  ['alice@example.org', 'doveadm(alice@example.org)<1><s>: doveadm(bob@example.org)<1><s>: text', true],
  ['alice@example.org', 'remote(192.0.2.1:24245): doveadm(alice@example.org)<1><s>: text', false],
  ['alice@example.org', 'doveadm(alice@example.org,bob@example.org): text', true],
  ['alice@example.org', 'doveadm(BOB@EXAMPLE.ORG)<1><s>: text', true],
  ['kate@example.org', 'doveadm(\u212Aate@example.org)<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org.)<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org )<1><s>: text', true],
  ['alice@example.org', 'doveadm(alice@example.org)x@example.org)<1><s>: text', true],
  ['alice@example.org', 'doveadm(): text', true],
  // Of commands between two servers.
  ['alice@example.org', 'dsync-local(alice@example.org)<s>: text', false],
  ['alice@example.org', 'dsync-local(bob@example.org)<s>: text', true],
  ['alice@example.org', 'dsync-remote(bob@example.org)<s>: text', true],
  // A command that names no user hears of none.
  ['', 'doveadm(bob@example.org)<1><s>: text', true],
  ['', 'doveadm: Fatal: Missing user parameter', false],
];
for (const [user, text, isOther] of lines) {
  test(`${isOther ? 'hidden' : 'shown'}: ${text}`, () =>
    assert.equal(isLineOfOther(text, user, 'fold'), isOther));
}

test('names that differ in case only are two users where their case is kept', () => {
  const line = 'doveadm(Alice@example.org)<1><s>: text';
  assert.equal(isLineOfOther(line, 'alice@example.org', 'keep'), true);
  assert.equal(isLineOfOther(line, 'Alice@example.org', 'keep'), false);
});

test('a line that begins like a prefix again and again is looked at once', () => {
  // Before, each beginning was followed to the end of the line: minutes for this one, 13 ms for one of 16 KiB.
  const before = process.cpuUsage();
  assert.equal(isLineOfOther('doveadm('.repeat(100_000), 'alice@example.org', 'fold'), false);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `${user} us`);
});
