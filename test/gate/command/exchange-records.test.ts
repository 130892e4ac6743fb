// Goal: the two records of an exchange, and the event beside them, say the same of it. What must not happen: a secret in a record, or
// arguments of a line that nobody could read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import { parseStatus } from '../../../src/doveadm/reply/reply.js';
import { recordedPeer } from '../../../src/gate/command/context.js';
import {
  admissionOf,
  backendLogOf,
  type CompletionFacts,
  completionOf,
  ExchangeRecords,
  endedOf,
  logRecordOf,
  redactedWords,
} from '../../../src/gate/command/exchange-records.js';
import { cutReason, nothingStated, withOption } from '../../../src/gate/command/stated.js';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import { judgeEnding } from '../../../src/gate/outcome/outcome.js';
import { RelayCount } from '../../../src/gate/relay/relay.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import { type Judgement, judge } from '../../../src/rules/policy/judge.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { compareAnswers } from '../../kit/plain/approved.js';

const policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail('no policy');
const peer = { listener: 'support', uid: 1000, gid: 100, pid: 4711, user: 'anna' };
const names = {
  session: 'S',
  listener: 'support',
  peer,
  recorded: recordedPeer(peer),
  principal: 'anna@support',
  origin: 'uid:1000',
};

function judged(line: string): Judgement {
  const read = parseCommandLine(Buffer.from(line.replaceAll('|', '\t')));
  assert.ok(read.kind === 'command');
  return judge(read.command, ['2.3', '2.4'], {
    listener: 'support',
    principal: 'anna@support',
    clientMinor: 2,
    policy,
    userNames: createUserNames({ characters: 'A-Za-z0-9._+=@-' }),
    sharedNamespaces: [],
    nowMs: 0,
  });
}

function admission(judgement: Judgement, backend: string | undefined) {
  const redact = (value: string) => ({ hmac: `hmac of ${value.length}` });
  const backends = backend === undefined ? [] : [{ name: backend }];
  return admissionOf({
    time: 1,
    names,
    id: 'I',
    subject: { clientMinor: 2, policy },
    judgement,
    backends,
    stated: { ...nothingStated, reason: 'ticket 7' },
    redact,
    nameCase: 'fold',
  });
}

void test('a denied command has no backend and says why; one that nobody could read has no arguments', () => {
  const denied = admission(judged('|bob@example.org|expunge|mailbox|INBOX|all'), undefined);
  assert.deepEqual([denied.decision, denied.backend, denied.effect], ['deny', undefined, 'destroy']);
  assert.match(denied.text ?? '', /no rule allows "expunge"/);
  assert.deepEqual(denied.args, ['--', 'mailbox', 'INBOX', 'all']);
  const unread = admission(judged('|bob@example.org|quota get|--secret|hunter2'), undefined);
  assert.deepEqual(
    [unread.decision, unread.args, unread.rule, unread.series],
    ['deny', undefined, undefined, undefined],
  );
  assert.doesNotMatch(JSON.stringify(unread), /hunter2/);
  // Refused ones are found by whom they name.
  assert.deepEqual([denied.users, unread.users], [['bob@example.org'], ['bob@example.org']]);
});

void test('a secret argument is a digest', () => {
  const record = admission(judged('|alice@example.org|sync|-p|hunter2|tcp:mail2'), undefined);
  assert.doesNotMatch(JSON.stringify(record), /hunter2/);
});

const count = Object.assign(new RelayCount(), { cells: 3, bytesIn: 40, firstByteMs: 1.23456 });

function facts(changes: Partial<CompletionFacts> = {}): CompletionFacts {
  const verdict = judgeEnding({ kind: 'reply-timeout', backend: 'mail1' });
  return {
    time: 2,
    names,
    id: 'I',
    policy: 'support',
    judgement: judged('|alice@example.org|quota get'),
    backend: 'mail1',
    upstream: 'mail1-1',
    parts: undefined,
    verdict,
    status: '-TEMPFAIL',
    isSent: true,
    input: undefined,
    count,
    bytesOut: 50,
    waitMs: 0.00049,
    durationMs: 10_000.0006,
    ...changes,
  };
}

void test('an allowed command, its end and a line of its log channel: records and events, as exchange-records.txt has them', () => {
  count.logs = new Map([['warning', 2]]);
  const end = facts();
  const line = { type: 'warning', text: 'slow', isCut: false } as const;
  const upstream = { backend: 'mail1', id: 'mail1-1' };
  const log = backendLogOf({ names, id: 'I', judgement: undefined, upstream, line });
  const admitted = admission(judged('|ALICE@example.org|quota|get|-u|alice@example.org'), 'mail1');
  assert.equal(admitted.version, policy.version);
  compareAnswers('test/gate/command/exchange-records.txt', [
    ['admission', () => ({ ...admitted, version: 'that of the policy' })],
    ['completion', () => completionOf(end)],
    ['exchange-ended', () => endedOf(end, true)],
    ['log', () => logRecordOf(names, 'I', log, 3)],
    ['backend-log', () => log],
  ]);
});

void test('what was never sent has no counts', () => {
  const verdict = judgeEnding({ kind: 'refused', why: 'draining' });
  const unsent = facts({ verdict, isSent: false, count: undefined, upstream: undefined, waitMs: undefined });
  const { sent, cells, bytes_in, wait_ms, first_byte_ms, logs } = completionOf(unsent);
  assert.deepEqual(
    [sent, cells, bytes_in, wait_ms, first_byte_ms, logs],
    [false, undefined, undefined, undefined, undefined, undefined],
  );
  assert.equal(endedOf(unsent, true).bytesIn, 0);
  const input = { bytes: 70 };
  assert.deepEqual(
    [
      endedOf(facts({ input }), true).bytesUp,
      endedOf({ ...unsent, input }, true).bytesUp,
      endedOf(unsent, true).bytesUp,
    ],
    [70, 0, 0],
  );
});

void test('a completion has the words that the client got, where neither its admission nor its code says the same', () => {
  const reason = 'its rule asks for a reason';
  const verdict = judgeEnding({ kind: 'denied', code: 'no-reason', reason, policy: 'support' });
  const refused = completionOf(facts({ verdict, isSent: false }));
  assert.deepEqual(
    [refused.outcome, refused.denial, refused.text],
    ['denied', 'no-reason', `denied by policy support (${reason})`],
  );
  const judgement = judged('|bob@example.org|expunge|mailbox|INBOX|all');
  const rule = judgeEnding({ kind: 'denied', code: 'no-rule', reason, policy: 'support' });
  assert.equal(completionOf(facts({ verdict: rule, judgement, isSent: false })).text, undefined);
  assert.equal(completionOf(facts()).text, undefined);
  const textOf = (ending: Parameters<typeof judgeEnding>[0], more: object = {}): string | undefined =>
    completionOf(facts({ verdict: judgeEnding(ending), isSent: false, ...more })).text;
  assert.equal(
    textOf({ kind: 'unroutable', reason: 'no backend for this user' }),
    'no backend for this user',
  );
  assert.equal(textOf({ kind: 'refused', why: 'queue-full' }), undefined);
  const logged = new RelayCount();
  logged.lastLog = 'zanzibar: Mailbox already exists';
  const failed = { kind: 'replied', status: parseStatus(Buffer.from('-DATAERR')), peer: 'ready' } as const;
  assert.equal(textOf(failed, { status: '-DATAERR', count: logged }), 'the backend says: it exists already');
  assert.equal(textOf(failed, { status: '-DATAERR' }), undefined);
  const denied = { kind: 'denied', code: 'no-rule', reason: 'x', policy: 'p' } as const;
  const request = 'dovegate request -- expunge';
  assert.equal(
    textOf({ ...denied, request }, { judgement }),
    `denied by policy p; available on request: ${request}`,
  );
  assert.equal(textOf({ ...denied, code: 'grant-withheld' }, { judgement }), 'denied by policy p (x)');
});

void test('what is over a limit says which one, and from when on it is within it', () => {
  const limit = 'the rate of policy support (1/hour)';
  const over = judgeEnding({ kind: 'limited', limit, retryAfterMs: 4_200 });
  const { outcome, text, until } = completionOf(facts({ verdict: over, isSent: false, time: 1_000 }));
  assert.deepEqual([outcome, text, until], ['limited', `over ${limit}`, '1970-01-01T00:00:06.000Z']);
  const full = judgeEnding({ kind: 'limited', limit, retryAfterMs: undefined });
  assert.equal(completionOf(facts({ verdict: full, isSent: false })).until, undefined);
});

void test('text of a client never becomes the name of a command', () => {
  const judgement = judged('|alice@example.org|no such command');
  assert.equal(admission(judgement, undefined).command, undefined);
  assert.equal(endedOf(facts({ judgement }), true).exchange.command, undefined);
});

void test('what a server repeats of a secret argument is taken out of its lines', () => {
  const judgement = judged('|alice@example.org|mailbox metadata set|INBOX|/private/comment|hunter2');
  const line = { type: 'error', text: 'cannot set hunter2: x', isCut: false } as const;
  const log = { names, id: 'I', judgement, upstream: { backend: 'mail1', id: 'mail1-1' }, line };
  const event = backendLogOf(log);
  assert.equal(logRecordOf(names, 'I', event, 3).text, 'cannot set [secret]: x');
  assert.equal(event.text, 'cannot set [secret]: x');
});

/** What is observed of `lines` error lines and the status after them: texts, each with whose fault it is. */
function observed(changes: Partial<CompletionFacts>, lines = 1, text = 'line'): string[] {
  const seen: string[] = [];
  const observe = (event: EngineEvent): void => {
    if (event.kind === 'backend-log')
      seen.push(`${event.text} ${event.level === 'info' ? 'user' : 'server'}`);
    else seen.push(event.kind);
  };
  const parts = { ...openMemoryEngine().context.exchanges(), observe };
  const judgement = judged('|alice@example.org|quota get');
  const records = new ExchangeRecords(parts, { ...admission(judgement, 'mail1'), time: 1 }, false);
  const upstream = { backend: 'mail1', id: 'mail1-1' };
  for (let n = 1; n <= lines; n += 1)
    records.logged({ names, id: 'I', judgement, upstream, line: { type: 'error', text, isCut: false } }, n);
  seen.push('status');
  records.complete(facts({ judgement, ...changes }));
  return seen;
}

const ownStatus = (status: string): Partial<CompletionFacts> => ({
  status,
  verdict: { ...facts().verdict, outcome: 'failed', error: undefined },
});

void test('whose fault an error line is, the status of its command says', () => {
  for (const status of ['-NOTFOUND', '-NOUSER', '-DATAERR', '-USAGE', '-NOPERM', '-EXPIRED', '-CHANGED'])
    assert.deepEqual(observed(ownStatus(status)), ['status', 'line user', 'exchange-ended'], status);
  for (const status of ['-TEMPFAIL', '-UNKNOWN', '-', '+'])
    assert.deepEqual(observed(ownStatus(status)), ['status', 'line server', 'exchange-ended'], status);
  const full = observed(ownStatus('-'), 1, 'Quota exceeded (mailbox for user is full)');
  assert.match(full[1] ?? '', / user$/);
  // A status that is ours says nothing about the line.
  assert.match(observed({ status: '-NOTFOUND' })[1] ?? '', / server$/);
});

// bounds.heldErrors
void test('of many error lines the first ones wait for the status, and the rest are errors at once', () => {
  const more = 3;
  const seen = observed(ownStatus('-NOTFOUND'), bounds.heldErrors + more);
  const at = seen.indexOf('status');
  assert.deepEqual(seen.slice(0, at), Array<string>(more).fill('line server'));
  assert.equal(seen.slice(at).filter((each) => each === 'line user').length, bounds.heldErrors);
});

void test('so many secret words have a digest of their own, and the others one together', () => {
  const made: string[] = [];
  const words = Array.from({ length: 128 + 50 }, (_, at) => ({
    text: `secret${at}`,
    isSecret: true,
    role: undefined,
  }));
  redactedWords(words, (value) => {
    made.push(value);
    return { hmac: value };
  });
  assert.equal(made.length, 128 + 1);
  assert.equal(made.at(-1)?.split('\0').length, 50);
});

// Goal: whoever asks for the admission, and however often: nobody goes on before it is on disk, or without it.
function strictTrail() {
  const engine = openMemoryEngine();
  const context = engine.context.exchanges();
  const trail = new ExchangeRecords(context, { time: 0, event: 'admission', id: 'A' }, true);
  return { engine, trail };
}

void test('a second way waits for the same admission as the first', async () => {
  const { engine, trail } = strictTrail();
  engine.setJournal('hold');
  const first = trail.admit();
  const second = trail.admit();
  assert.ok(first !== undefined && second !== undefined);
  engine.setJournal('take');
  await Promise.all([first, second]);
  const kept = engine.records.map(({ record, durable }) => [record.id, durable]);
  assert.deepEqual(kept, [['A', true]]);
});

void test('an admission that did not get there holds up every way', async () => {
  const { engine, trail } = strictTrail();
  engine.setJournal('refuse');
  await assert.rejects(trail.admit() ?? Promise.resolve(), JournalFault);
  engine.setJournal('take');
  await assert.rejects(trail.admit() ?? Promise.resolve(), JournalFault);
});

// What a client states about its next command: which options state something, and in which form it is recorded.
// bounds.reasonBytes
void test('a reason is cut at a character, at once', () => {
  assert.equal(cutReason('because'), 'because');
  assert.equal(cutReason('ü'.repeat(300)), 'ü'.repeat(256));
  assert.equal(cutReason(`a${'ü'.repeat(300)}`), `a${'ü'.repeat(255)}`);
  assert.equal(cutReason(`ab${'\u{1f600}'.repeat(200)}`), `ab${'\u{1f600}'.repeat(127)}`);
});

void test('options add up, the last one of a key counts, and one that is not in its form changes nothing', () => {
  const options = ['tag=one', 'reason=', 'tag=two', 'tag=no tag', 'tag=', 'reason=a=b'];
  const stated = options.reduce((before, option) => withOption(before, `dovegate-${option}`), nothingStated);
  assert.deepEqual(stated, { reason: 'a=b', tag: 'two' });
  assert.equal(withOption(stated, 'dovegate-tag=no tag'), stated);
});

void test('an option fills no other key of a record', () => {
  const others = [
    'decision=allow',
    'principal=root',
    'toString=x',
    '__proto__=x',
    'tag',
    'Tag=x',
    ' tag=x',
    '=x',
  ];
  for (const option of [...others.map((other) => `dovegate-${other}`), 'tag=x', ''])
    assert.equal(withOption(nothingStated, option), nothingStated, option);
});
