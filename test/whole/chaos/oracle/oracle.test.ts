// The oracle finds nothing in a clean run, and each planted contradiction under its code: a check that cannot fail proves nothing.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  addReason,
  allowDenied,
  forget,
  forgetCommand,
  grow,
  leaveUnread,
  passOver,
  refuse,
  replyOf,
  setBoth,
  setLast,
  setStatus,
  silence,
  swapRecords,
  tellNothing,
  trouble,
} from './changes.js';
import { canonicalText, parseCommand, parseLine } from './command-line.js';
import { globPattern } from './judge.js';
import { examine } from './main.js';
import type { Code } from './report.js';
import { createSearch } from './secrets.js';
import {
  arrivalOf,
  clientOf,
  createEvidence,
  type Evidence,
  recordOf,
  sha,
  tokenOf,
  writeEvidence,
} from './synthetic.js';

async function codesOf(change: (evidence: Evidence) => void): Promise<{ codes: Code[]; lines: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'oracle-'));
  try {
    const evidence = createEvidence();
    change(evidence);
    writeEvidence(folder, evidence);
    const { report } = await examine(folder);
    return { codes: report.toJson().map((one) => one.code), lines: report.lines() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const row = (code: Code, what: string, change: (evidence: Evidence) => void) => [code, what, change] as const;

const variations = [
  row('not-allowed', 'a user under except', (e) => allowDenied(e)),
  row('not-allowed', 'a command that was to be refused', (e) => void (clientOf(e, 1).expect = 'refuse')),
  row(
    'not-allowed',
    'the old policy after a reload',
    (e) => void e.policy.push({ version: 'v2', from: 1_800_000_001_000, until: 1_800_000_002_000 }),
  ),
  row('not-allowed', 'flag D', (e) => void (arrivalOf(e, 2).line = `D${String(arrivalOf(e, 2).line)}`)),
  row('not-allowed', 'an argument that the client did not send', (e) => {
    const sent = ['-s', '--', tokenOf(5)];
    arrivalOf(e, 5).line = ['', 'alice@example.com', 'mailbox create', ...sent].join('\t');
    recordOf(e, 'admission', 5).args = sent;
  }),
  row('not-admitted', 'no admission', (e) => forget(e, 3)),
  row(
    'not-admitted',
    'an admission that says deny',
    (e) => void (recordOf(e, 'admission', 3).decision = 'deny'),
  ),
  row(
    'not-admitted',
    'other arguments than recorded',
    (e) => void (recordOf(e, 'admission', 3).args = ['--', 'uidnext', tokenOf(3)]),
  ),
  row(
    'not-admitted',
    'a line that no client asked for',
    (e) =>
      void e.backend.push({
        ...arrivalOf(e, 1),
        conn: 99,
        line: '\tbob@example.com\tmailbox delete\t--\tTrash',
      }),
  ),
  row('not-admitted', 'an admission after the command was sent', (e) => swapRecords(e, 2, 4)),
  row('not-admitted', 'a refusal that is neither recorded nor counted', (e) => forget(e, 8)),
  row(
    'not-admitted',
    'a change sent while nothing could be synced',
    (e) =>
      void e.faults.push({
        at: 1_800_000_008_000,
        until: 1_800_000_020_000,
        kind: 'disk-stall',
        target: 'gate',
      }),
  ),
  row('not-true', 'bytes_in', (e) => void (recordOf(e, 'completion', 1).bytes_in = 5)),
  row('not-true', 'bytes_out', (e) => void (recordOf(e, 'completion', 1).bytes_out = 5)),
  row('not-true', 'cells', (e) => void (recordOf(e, 'completion', 1).cells = 7)),
  row('not-true', 'sent', (e) => void (recordOf(e, 'completion', 1).sent = false)),
  row('not-true', 'outcome', (e) => void (recordOf(e, 'completion', 9).outcome = 'ok')),
  row('not-true', 'status', (e) => void (recordOf(e, 'completion', 9).status = '-NOUSER')),
  row('not-true', 'backend', (e) => void (recordOf(e, 'completion', 1).backend = 'mail2')),
  row('not-true', 'user', (e) => void (recordOf(e, 'completion', 1).user = 'bob@example.com')),
  row('not-true', 'principal', (e) => setBoth(e, 1, 'principal', 'bob@support')),
  row(
    'not-true',
    'size of the input',
    (e) => void (recordOf(e, 'completion', 6).input = { bytes: 1, hmac: '' }),
  ),
  row('not-true', 'effect', (e) => void (recordOf(e, 'admission', 5).effect = 'read')),
  row(
    'not-true',
    'a second completion',
    (e) => void e.records.splice(6, 0, { ...recordOf(e, 'completion', 1) }),
  ),
  row('not-true', 'the reason of another command', (e) => addReason(e)),
  row(
    'not-true',
    'an upstream that was another connection',
    (e) => void (recordOf(e, 'completion', 2).upstream = 'mail1-1'),
  ),
  row(
    'open',
    'no completion',
    (e) => void (e.records = e.records.filter((one) => one !== recordOf(e, 'completion', 2))),
  ),
  row(
    'chain',
    'a record is missing',
    (e) => void (e.afterSealing = (lines) => lines.filter((_, at) => at !== 7)),
  ),
  row(
    'chain',
    'a byte is changed',
    (e) =>
      void (e.afterSealing = (lines) =>
        lines.map((line, at) => (at === 6 ? line.replace('messages', 'massages') : line))),
  ),
  row(
    'chain',
    'a signature is of another text',
    (e) =>
      void (e.afterSealing = (lines) =>
        lines.map((line) => line.replace(/"signature":"[^"]{4}/, '"signature":"AAAA'))),
  ),
  row('chain', 'no checkpoint at the end', (e) => void e.records.pop()),
  row(
    'chain',
    'the clock goes back',
    (e) => void (recordOf(e, 'admission', 10).time = '2020-01-01T00:00:00.000Z'),
  ),
  row(
    'chain',
    'a start that found damage',
    (e) => void Object.assign(e.records[0] ?? {}, { error: 'journal-cut' }),
  ),
  row('fleet', 'a message is missing', (e) => void (e.ofStream = (messages) => messages.slice(1))),
  row(
    'fleet',
    'a message comes twice',
    (e) => void (e.ofStream = (messages) => [...messages, { ...messages[0], seq: 3 }]),
  ),
  row(
    'fleet',
    'another text',
    (e) =>
      void (e.ofStream = (messages) =>
        messages.map((one) => ({ ...one, data: String(one.data).replace('alice', 'carol') }))),
  ),
  row(
    'verifier',
    'it fails a good journal',
    (e) => void (e.verify = { 'audit verify': { exit: 1, output: 'failed' } }),
  ),
  row(
    'verifier',
    'it passes a bad one',
    (e) => void (e.afterSealing = (lines) => lines.filter((_, at) => at !== 7)),
  ),
  row('wrong-answer', 'other rows', (e) => void (clientOf(e, 1).rows = { bytes: 5, sha: sha('other') })),
  row('wrong-answer', 'another status', (e) => setStatus(e, 9, '-NOUSER')),
  row(
    'wrong-answer',
    'an answer without a backend',
    (e) => void (e.backend = e.backend.filter((one) => one.conn !== 2)),
  ),
  row(
    'wrong-answer',
    'a log line of another client',
    (e) => void (clientOf(e, 1).logs = [`about ${tokenOf(2)}`]),
  ),
  row(
    'wrong-answer',
    'two commands at once on a connection',
    (e) => void Object.assign(arrivalOf(e, 2), { conn: 1, n: 2, at: Number(arrivalOf(e, 1).at) + 1 }),
  ),
  row('false-complete', 'a cut reply', (e) => void Object.assign(arrivalOf(e, 1), replyOf('cel', '', false))),
  row('false-complete', 'a cut text', (e) => void (clientOf(e, 6).inputCut = true)),
  row('twice', 'a change', (e) => void e.backend.push({ ...arrivalOf(e, 5), conn: 77 })),
  row(
    'twice',
    'a read after bytes of its reply',
    (e) =>
      void e.backend.push({
        ...arrivalOf(e, 1),
        conn: 77,
        at: Number(arrivalOf(e, 1).at) - 10,
        ...replyOf('ce', '', false),
      }),
  ),
  row('wrong-refusal', '-NOPERM', (e) => refuse(e, 3, '-NOPERM', 'denied')),
  row('wrong-refusal', '-NOPERM of a newer backend without a fault', (e) =>
    refuse(e, 3, '-NOPERM', 'unparsable', 'backend-newer'),
  ),
  row('wrong-refusal', '-TEMPFAIL without a fault', (e) =>
    refuse(e, 3, '-TEMPFAIL', 'failed', 'queue-timeout'),
  ),
  row('wrong-refusal', '-TEMPFAIL of the journal while only a backend is cut', (e) => {
    refuse(e, 3, '-TEMPFAIL', 'failed', 'audit-failed');
    e.faults.push(trouble('cut'));
  }),
  row('lost', 'no answer', (e) => silence(e, 3, 'timeout')),
  row('lost', 'the end of the connection', (e) => silence(e, 3, 'eof')),
  row('lost', 'no answer though the backend gave it, beside another fault', (e) => {
    silence(e, 3, 'timeout');
    clientOf(e, 3).ended = Number(clientOf(e, 3).begun) + 30_000;
    e.faults.push(trouble('cut'));
  }),
  row('wrong-answer', 'a change that ran, said not to have run', (e) => tellNothing(e)),
  row('lost', 'no answer for longer than the queue permits, beside another fault', (e) => forgetCommand(e)),
  row('wrong-refusal', 'a whole reply, said to be cut', (e) => {
    const lines = [...e.backend];
    refuse(e, 3, '-TEMPFAIL', 'unknown', 'closed-early');
    e.backend = lines;
    e.faults.push(trouble('cut'));
  }),
  row('chain', 'a clock that was set without a record', (e) => void e.faults.push(trouble('clock'))),
  row(
    'unfair',
    'a wait beyond the queue',
    (e) => void Object.assign(recordOf(e, 'completion', 4), { wait_ms: 40_000, duration_ms: 40_001 }),
  ),
  row('unfair', 'turn after turn of another principal', (e) => passOver(e)),
  row('leak', 'descriptors', (e) => setLast(e, 'fds', 90)),
  row('leak', 'memory that grows under load', (e) =>
    grow(e, (at) => ({ rss: 1e8 + at * 4e6, left: 1e8 + at * 4e6 })),
  ),
  row('leak', 'sessions', (e) => setLast(e, 'metrics', 'dovegate_sessions{listener="support"} 3\n')),
  row('leak', 'a reply taken in for a client that reads nothing', (e) => leaveUnread(e)),
  row('leak', 'more commands at once than connections', (e) => void (e.run.connections = { mail1: 0 })),
  row('secret', 'in the log', (e) => void (e.gateLog = 'password correct-horse-battery\n')),
  row(
    'secret',
    'in base64',
    (e) => void (e.gateLog = `${Buffer.from('\0doveadm\0correct-horse-battery').toString('base64')}\n`),
  ),
  row(
    'secret',
    'a word of a mail in a record',
    (e) => void (recordOf(e, 'admission', 7).args = ['--', 'uid text', 'subject', tokenOf(7)]),
  ),
];

describe('the oracle', () => {
  it('finds nothing in a clean run', async () => {
    const { lines } = await codesOf(() => undefined);
    assert.deepEqual(lines, []);
  });

  it('accepts what faults explain', async () => {
    const { lines } = await codesOf((evidence) => {
      refuse(evidence, 3, '-TEMPFAIL', 'failed', 'dial-refused');
      silence(evidence, 4, 'reset');
      const completion = recordOf(evidence, 'completion', 10);
      const { time, session, id } = completion;
      evidence.records[evidence.records.indexOf(completion)] = {
        time,
        event: 'completion',
        session,
        id,
        outcome: 'unknown',
        error: 'stopped',
      };
      evidence.faults.push(trouble('kill'));
    });
    assert.deepEqual(lines, []);
  });

  it('takes a heap that is large until it is collected for no leak', async () => {
    const { lines } = await codesOf((e) => grow(e, (at) => ({ rss: 1e8 + at * 4e6, left: 1e8 + at * 1e5 })));
    assert.deepEqual(lines, []);
  });

  for (const [code, what, change] of variations) {
    it(`says ${code}: ${what}`, async () => {
      const { codes, lines } = await codesOf(change);
      assert.ok(codes.includes(code), `found ${lines.join('\n')}`);
    });
  }
});

describe('command lines', () => {
  it('are read as a server reads them', () => {
    const text = (line: string): string => {
      const parsed = parseCommand(parseLine(line)?.words ?? [], '2.4');
      return parsed === undefined ? '' : canonicalText(parsed);
    };
    const whole = text('\ta@example.com\tmailbox delete\t-u\ta@example.com\t-s\t-r\t--\tOld');
    assert.notEqual(whole, '');
    for (const line of [
      '\ta@example.com\tmailbox\tdelete\t-sr\tOld',
      'x\tproxy-ttl=5\ta@example.com\tmailbox delete\tOld\t--recursive\t-s',
      '\ta@example.com\tmailbox delete\t-srua@example.com\tOl\x01d',
    ])
      assert.equal(text(line), whole);
    assert.notEqual(text('\ta@example.com\tmailbox delete\t-s\t--\t-r\tOld'), whole);
    assert.equal(parseLine('z\ta\tb'), undefined);
    assert.equal(parseLine('\tvictim\x010@allowed\tquota get')?.user, 'victim');
  });

  it('have globs that do not cross @', () => {
    assert.ok(globPattern('*@example.com').test('a@example.com'));
    assert.ok(!globPattern('*@example.com').test('a@b@example.com'));
    assert.ok(globPattern('*').test('a@b'));
  });
});

describe('the search for secrets', () => {
  it('finds patterns of several lengths anywhere', () => {
    const pattern = (text: string, secret: number) => ({ bytes: Buffer.from(text), secret, form: 'it is' });
    const search = createSearch([pattern('abcd', 0), pattern('bcdefgh', 1), pattern('zzzzzz', 2)]);
    const found = [...search.find(Buffer.from('xxabcdefghxxabcx abcd'))].map((one) => one.secret);
    assert.deepEqual(found, [0, 1, 0]);
  });
});
