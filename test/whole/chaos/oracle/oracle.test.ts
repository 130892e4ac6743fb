// The oracle finds nothing in a clean run, and each planted contradiction under its code: a check that cannot fail proves nothing.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
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
  type Fields,
  recordOf,
  sha,
  started,
  tokenOf,
  writeEvidence,
} from './synthetic.js';

type Change = (evidence: Evidence) => void;

async function codesOf(change: Change): Promise<{ codes: Code[]; lines: string[] }> {
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

const inClient = (number: number, fields: Fields) => (e: Evidence) =>
  void Object.assign(clientOf(e, number), fields);
const inArrival = (number: number, fields: Fields) => (e: Evidence) =>
  void Object.assign(arrivalOf(e, number), fields);
const inAdmission = (number: number, fields: Fields) => (e: Evidence) =>
  void Object.assign(recordOf(e, 'admission', number), fields);
const inCompletion = (number: number, fields: Fields) => (e: Evidence) =>
  void Object.assign(recordOf(e, 'completion', number), fields);
/** Of the last minute. */
const inSamples = (fields: Fields) => (e: Evidence) => {
  for (const one of e.samples.slice(2)) Object.assign(one, fields);
};
const inRun = (fields: Fields) => (e: Evidence) => void Object.assign(e.run, fields);
const inLines = (change: Evidence['afterSealing']) => (e: Evidence) => void (e.afterSealing = change);
const inStream = (change: Evidence['ofStream']) => (e: Evidence) => void (e.ofStream = change);
const inLog = (text: string) => (e: Evidence) => void (e.gateLog = `${text}\n`);
/** A fault that explains everything from before the run to after it. */
const fault =
  (kind: string, more: Fields = {}) =>
  (e: Evidence) =>
    void e.faults.push({ at: started, until: started + 200_000, kind, target: 'gate', ...more });
const all =
  (...changes: readonly Change[]): Change =>
  (e) => {
    for (const change of changes) change(e);
  };

/** A second line like that of a command, on a connection of its own. */
const arrivesToo = (number: number, fields: Fields) => (e: Evidence) =>
  void e.backend.push({ ...arrivalOf(e, number), conn: 77, ...fields });
const neverArrives = (number: number) => (e: Evidence) =>
  void (e.backend = e.backend.filter(({ conn }) => conn !== number));
const replyOf = (rows: string, status: string, whole: boolean): Fields => ({
  reply: { status, bytes: rows.length, sha: sha(rows), whole },
});

/** Takes the two records of a command away. */
const forget =
  (number: number): Change =>
  (e) => {
    const { id } = recordOf(e, 'admission', number);
    e.records = e.records.filter((one) => one.id !== id);
  };

const answer = (number: number, status: string): Change =>
  all(inClient(number, { status }), inCompletion(number, { status, bytes_out: status.length + 2 }));

/** Refused by the gate, as it says. */
function refuse(number: number, status: string, outcome: string, error?: string): Change {
  const isDenied = outcome === 'denied';
  return all(
    neverArrives(number),
    answer(number, status),
    inClient(number, { rows: { bytes: 0, sha: sha('') }, text: '' }),
    inCompletion(number, { sent: false, outcome, ...(error !== undefined && { error }) }),
    (e) => {
      for (const key of ['upstream', 'cells', 'bytes_in']) delete recordOf(e, 'completion', number)[key];
    },
    isDenied ? inAdmission(number, { decision: 'deny' }) : () => undefined,
  );
}

/** No answer; `forMs`: so long was it waited for. */
const silence =
  (number: number, end: string, forMs?: number): Change =>
  (e) => {
    const client = clientOf(e, number);
    for (const key of ['status', 'rows', 'text']) delete client[key];
    Object.assign(client, { end, ...(forMs !== undefined && { ended: Number(client.begun) + forMs }) });
  };

/** Samples of a run of 100 s under load. */
const grow =
  (memoryAt: (at: number) => Record<string, number>): Change =>
  (e) => {
    const one = { process: 'gate', pid: 10, fds: 40, threads: 11 };
    const load = Array.from({ length: 100 }, (_, at) => ({
      ...one,
      at: started + 6000 + at * 900,
      ...memoryAt(at),
    }));
    e.samples.splice(2, 0, ...load);
  };

/** The records of a command stand where those of a later one are. */
const swapRecords =
  (one: number, other: number): Change =>
  (e) => {
    const [first = 0, second = 0] = [one, other].map((number) =>
      e.records.indexOf(recordOf(e, 'admission', number)),
    );
    e.records.splice(second, 0, ...e.records.splice(first, 2));
  };

/** A record as the gate writes it, with the reason of command 6 where the contract has its place. */
const addReason: Change = (e) => {
  const before = recordOf(e, 'admission', 7);
  const entries = Object.entries(before);
  const at = entries.findIndex(([key]) => key === 'command');
  const reason: [string, string] = ['reason', `because ${tokenOf(6)}`];
  e.records[e.records.indexOf(before)] = Object.fromEntries(entries.toSpliced(at, 0, reason));
};

/** A second `save` of the same user, before command 6, that the gate did not send; and the text of command 6 did not arrive. */
const addUnsent: Change = (e) => {
  const client = clientOf(e, 6);
  const shifted = (fields: Fields): Fields => ({
    ...fields,
    time: new Date(Date.parse(String(fields.time)) - 2000).toISOString(),
    session: 'other',
    id: 'other',
  });
  e.clients.unshift({
    ...client,
    client: 11,
    token: tokenOf(11),
    input: { bytes: 3, sha: 'other', text: `Subject: ${tokenOf(11)}` },
    begun: Number(client.begun) - 2000,
    ended: Number(client.ended) - 2000,
    status: '-TEMPFAIL',
    logs: ['dovegate: the audit record could not be written [audit-failed], id other'],
  });
  const { upstream: _, ...completion } = recordOf(e, 'completion', 6);
  const failed = {
    sent: false,
    outcome: 'failed',
    status: '-TEMPFAIL',
    error: 'audit-failed',
    bytes_out: 11,
  };
  e.records.splice(
    2,
    0,
    shifted({ ...recordOf(e, 'admission', 6), reason: `because ${tokenOf(11)}` }),
    shifted({ ...completion, ...failed }),
  );
  inArrival(6, { input: { cut: true }, passed: false, reply: undefined })(e);
};

const withoutLine = inLines((lines) => lines.filter((_, at) => at !== 7));
const ceo = ['', 'ceo@example.com', 'mailbox status', '--', 'messages', tokenOf(8)].join('\t');
const otherArguments = ['-s', '--', tokenOf(5)];

const variations: readonly (readonly [code: Code, what: string, change: Change])[] = [
  [
    'not-allowed',
    'a user under except',
    all(arrivesToo(1, { conn: 8, line: ceo }), inClient(8, { expect: 'any' })),
  ],
  ['not-allowed', 'a command that was to be refused', inClient(1, { expect: 'refuse' })],
  [
    'not-allowed',
    'the old policy after a reload',
    (e) => void e.policy.push({ version: 'v2', from: started + 1000, until: started + 2000 }),
  ],
  ['not-allowed', 'flag D', (e) => inArrival(2, { line: `D${String(arrivalOf(e, 2).line)}` })(e)],
  [
    'not-allowed',
    'an argument that the client did not send',
    all(
      inArrival(5, { line: ['', 'alice@example.com', 'mailbox create', ...otherArguments].join('\t') }),
      inAdmission(5, { args: otherArguments }),
    ),
  ],
  ['not-admitted', 'no admission', forget(3)],
  ['not-admitted', 'an admission that says deny', inAdmission(3, { decision: 'deny' })],
  ['not-admitted', 'other arguments than recorded', inAdmission(3, { args: ['--', 'uidnext', tokenOf(3)] })],
  [
    'not-admitted',
    'a line that no client asked for',
    arrivesToo(1, { conn: 99, line: '\tbob@example.com\tmailbox delete\t--\tTrash' }),
  ],
  ['not-admitted', 'an admission after the command was sent', swapRecords(2, 4)],
  ['not-admitted', 'a refusal that is neither recorded nor counted', forget(8)],
  [
    'not-admitted',
    'a change sent while nothing could be synced',
    fault('disk-stall', { at: started + 8000, until: started + 20_000 }),
  ],
  ['not-true', 'bytes_in', inCompletion(1, { bytes_in: 5 })],
  ['not-true', 'bytes_out', inCompletion(1, { bytes_out: 5 })],
  ['not-true', 'cells', inCompletion(1, { cells: 7 })],
  ['not-true', 'sent', inCompletion(1, { sent: false })],
  ['not-true', 'outcome', inCompletion(9, { outcome: 'ok' })],
  ['not-true', 'status', inCompletion(9, { status: '-NOUSER' })],
  ['not-true', 'backend', inCompletion(1, { backend: 'mail2' })],
  ['not-true', 'user', inCompletion(1, { user: 'bob@example.com' })],
  [
    'not-true',
    'principal',
    all(inAdmission(1, { principal: 'bob@support' }), inCompletion(1, { principal: 'bob@support' })),
  ],
  ['not-true', 'size of the input', inCompletion(6, { input: { bytes: 1, hmac: '' } })],
  ['not-true', 'effect', inAdmission(5, { effect: 'read' })],
  [
    'not-true',
    'a second completion',
    (e) => void e.records.splice(6, 0, { ...recordOf(e, 'completion', 1) }),
  ],
  ['not-true', 'the reason of another command', addReason],
  ['not-true', 'an upstream that was another connection', inCompletion(2, { upstream: 'mail1-1' })],
  [
    'open',
    'no completion',
    (e) => void (e.records = e.records.filter((one) => one !== recordOf(e, 'completion', 2))),
  ],
  ['chain', 'a record is missing', withoutLine],
  [
    'chain',
    'a byte is changed',
    inLines((lines) => lines.map((line, at) => (at === 6 ? line.replace('messages', 'massages') : line))),
  ],
  [
    'chain',
    'a signature is of another text',
    inLines((lines) => lines.map((line) => line.replace(/"signature":"[^"]{4}/, '"signature":"AAAA'))),
  ],
  ['chain', 'no checkpoint at the end', (e) => void e.records.pop()],
  ['chain', 'the clock goes back', inAdmission(10, { time: '2020-01-01T00:00:00.000Z' })],
  [
    'chain',
    'a start that found damage',
    (e) => void Object.assign(e.records[0] ?? {}, { error: 'journal-cut' }),
  ],
  ['fleet', 'a message is missing', inStream((messages) => messages.slice(1))],
  ['fleet', 'a message comes twice', inStream((messages) => [...messages, { ...messages[0], seq: 3 }])],
  [
    'fleet',
    'another text',
    inStream((messages) =>
      messages.map((one) => ({ ...one, data: String(one.data).replace('alice', 'carol') })),
    ),
  ],
  [
    'verifier',
    'it fails a good journal',
    (e) => void (e.verify = { 'audit verify': { exit: 1, output: 'failed' } }),
  ],
  ['verifier', 'it passes a bad one', withoutLine],
  ['wrong-answer', 'other rows', inClient(1, { rows: { bytes: 5, sha: sha('other') } })],
  ['wrong-answer', 'another status', answer(9, '-NOUSER')],
  ['wrong-answer', 'an answer without a backend', neverArrives(2)],
  ['wrong-answer', 'a log line of another client', inClient(1, { logs: [`about ${tokenOf(2)}`] })],
  [
    'wrong-answer',
    'two commands at once on a connection',
    (e) => inArrival(2, { conn: 1, n: 2, at: Number(arrivalOf(e, 1).at) + 1 })(e),
  ],
  ['false-complete', 'a cut reply', inArrival(1, replyOf('cel', '', false))],
  ['false-complete', 'a cut text', inClient(6, { inputCut: true })],
  ['twice', 'a change', arrivesToo(5, {})],
  [
    'twice',
    'a read after bytes of its reply',
    (e) => arrivesToo(1, { at: Number(arrivalOf(e, 1).at) - 10, ...replyOf('ce', '', false) })(e),
  ],
  ['wrong-refusal', '-NOPERM', refuse(3, '-NOPERM', 'denied')],
  [
    'wrong-refusal',
    '-NOPERM of a newer backend without a fault',
    refuse(3, '-NOPERM', 'unparsable', 'backend-newer'),
  ],
  ['wrong-refusal', '-TEMPFAIL without a fault', refuse(3, '-TEMPFAIL', 'failed', 'queue-timeout')],
  [
    'wrong-refusal',
    '-TEMPFAIL of the journal while only a backend is cut',
    all(refuse(3, '-TEMPFAIL', 'failed', 'audit-failed'), fault('cut')),
  ],
  [
    'wrong-refusal',
    'a whole reply, said to be cut',
    (e) => {
      const lines = e.backend;
      all(refuse(3, '-TEMPFAIL', 'unknown', 'closed-early'), fault('cut'))(e);
      e.backend = lines;
    },
  ],
  ['lost', 'no answer', silence(3, 'timeout')],
  ['lost', 'the end of the connection', silence(3, 'eof')],
  [
    'lost',
    'no answer though the backend gave it, beside another fault',
    all(silence(3, 'timeout', 30_000), fault('cut')),
  ],
  [
    'lost',
    'no answer for longer than the queue permits, beside another fault',
    all(silence(3, 'timeout', 60_000), neverArrives(3), fault('cut')),
  ],
  [
    'wrong-answer',
    'a change that ran, said not to have run',
    all(
      answer(5, '-TEMPFAIL'),
      inClient(5, { logs: ['dovegate: wait [queue-timeout], id 01M'] }),
      fault('kill'),
    ),
  ],
  ['chain', 'a clock that was set without a record', fault('clock')],
  ['unfair', 'a wait beyond the queue', inCompletion(4, { wait_ms: 40_000, duration_ms: 40_001 })],
  [
    'unfair',
    'turn after turn of another principal',
    all(
      inRun({ connections: { mail1: 1 } }),
      inClient(10, { principal: 'bob@support' }),
      inAdmission(10, { principal: 'bob@support' }),
      inCompletion(10, { principal: 'bob@support', wait_ms: 3000.4, duration_ms: 3001 }),
    ),
  ],
  ['leak', 'descriptors', inSamples({ fds: 90 })],
  ['leak', 'memory that grows under load', grow((at) => ({ rss: 1e8 + at * 4e6, left: 1e8 + at * 4e6 }))],
  ['leak', 'sessions', inSamples({ metrics: 'dovegate_sessions{listener="support"} 3\n' })],
  [
    'leak',
    'a reply taken in for a client that reads nothing',
    all(
      inClient(1, { unread: true }),
      inArrival(1, { reply: { status: '+', bytes: 32 * 2 ** 20, sha: sha(''), whole: true } }),
    ),
  ],
  ['leak', 'more commands at once than connections', inRun({ connections: { mail1: 0 } })],
  ['secret', 'in the log', inLog('password correct-horse-battery')],
  ['secret', 'in base64', inLog(Buffer.from('\0doveadm\0correct-horse-battery').toString('base64'))],
  [
    'secret',
    'a word of a mail in a record',
    inAdmission(7, { args: ['--', 'uid text', 'subject', tokenOf(7)] }),
  ],
];

/** A kill within command 10, whose end the next start recorded. */
const killed: Change = (e) => {
  const completion = recordOf(e, 'completion', 10);
  const { time, event, session, id } = completion;
  const unknown = { time, event, session, id, outcome: 'unknown', error: 'stopped' };
  e.records[e.records.indexOf(completion)] = unknown;
  fault('kill')(e);
};

const accepted: readonly (readonly [what: string, change: Change])[] = [
  ['a clean run', () => undefined],
  ['what faults explain', all(refuse(3, '-TEMPFAIL', 'failed', 'dial-refused'), silence(4, 'reset'), killed)],
  [
    'a heap that is large until it is collected',
    grow((at) => ({ rss: 1e8 + at * 4e6, left: 1e8 + at * 1e5 })),
  ],
];

describe('the oracle', () => {
  for (const [what, change] of accepted)
    it(`finds nothing in ${what}`, async () => assert.deepEqual((await codesOf(change)).lines, []));

  for (const [code, what, change] of variations) {
    it(`says ${code}: ${what}`, async () => {
      const { codes, lines } = await codesOf(change);
      assert.ok(codes.includes(code), `found ${lines.join('\n')}`);
    });
  }

  it('gives no line whose text is lost to a command that was never sent', async () => {
    const { lines } = await codesOf(addUnsent);
    assert.ok(!lines.some((line) => line.includes('sent: false')), lines.join('\n'));
  });
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
