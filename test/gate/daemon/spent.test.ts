// Goal: after a restart a limit of destroying commands is as far used up as it was. What must not happen: an amnesty (by a restart, a
// clock that leaps, words that are known by their digest only), or a limit used up by what was never sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSpent } from '../../../src/gate/daemon/spent.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import { type AuditRecord, isOwnRecord, type JournalRecord } from '../../../src/journal/records/record.js';
import { Limiter, limitAsks } from '../../../src/rules/policy/terms.js';
import { admission, grantId, recordedMs, type Sent } from '../../evidence/review/recording.js';
import { parse, settingsOf, sound } from '../../rules/config/sound.js';

const limited = settingsOf(
  sound.replace(
    '[quota get]',
    '[quota get, { command: expunge, content: true, limit: 3/hour }, { command: mailbox list, limit: 3/hour }]',
  ),
);
const expunge: Sent = { user: 'bob@example.com', words: ['expunge', 'mailbox', 'Trash', 'text', 'x'] };
const minute = 60_000;

type Line = AuditRecord | JournalRecord;

/** An exchange; `isSent`: undefined: it has no completion. */
function exchange(id: string, sent: Sent, isSent: boolean | undefined = true, settings = limited): Line[] {
  const admitted = { ...admission(settings, 'support', sent, id), origin: 'uid:1002', peer: { uid: 1002 } };
  if (isSent === undefined) return [admitted];
  const time = admitted.time;
  return [admitted, { time, event: 'completion', id, outcome: isSent ? 'ok' : 'limited', sent: isSent }];
}

function textOf(lines: readonly Line[]): Buffer {
  const bodies = lines.flatMap((line) => (isOwnRecord(line) ? encodeBody(line) : encodeRecord(line)));
  return Buffer.from(bodies.map((body, at) => `{"seq":${at + 1},${body}}\n`).join(''));
}

interface At {
  readonly wallMs?: number;
  readonly stepsMs?: number;
  readonly stepsBeforeMs?: number;
  readonly settings?: typeof limited;
}

/** What is left of three expunges by `origin`, when these lines were read at that time. */
function left(lines: readonly Line[], at: At = {}, origin = 'uid:1002'): number {
  const { wallMs = recordedMs + minute, stepsMs = 0, stepsBeforeMs = 0, settings = limited } = at;
  const limiter = new Limiter(100);
  const nowMs = 5000;
  const spent = createSpent(settings, limiter, { wallMs, nowMs, stepsMs, stepsBeforeMs });
  // In two pieces: what belongs together may be apart.
  const cut = Math.floor(lines.length / 2);
  for (const part of [lines.slice(0, cut), lines.slice(cut)]) spent.take(textOf(part));
  spent.finish();
  const policy = [...settings.policies.values()].find(({ allow }) => allow.length > 1);
  assert.ok(policy);
  const rule = policy.allowByCommand.get('expunge')?.[0];
  const asked = { users: ['bob@example.com'], masks: [], everybody: 'none' } as const;
  for (let count = 0; ; count += 1) {
    if (limiter.admit(limitAsks(policy, rule?.obligations, asked, origin), nowMs).kind !== 'within')
      return count;
  }
}

void test('what was sent counts, once each, for the one who sent it', () => {
  const lines = [...exchange('A', expunge), ...exchange('B', expunge)];
  assert.equal(left([]), 3);
  assert.equal(left(lines), 1);
  assert.equal(left([...lines, ...exchange('C', expunge)]), 0);
  assert.equal(left(lines, {}, 'uid:1003'), 3);
});

void test('what was refused has used nothing up; what has no end counts', () => {
  assert.equal(left(exchange('A', expunge, false)), 3);
  assert.equal(left(exchange('A', expunge, undefined)), 2);
  const list: Sent = { user: 'bob@example.com', words: ['mailbox', 'list'] };
  assert.equal(left([...exchange('A', list), ...exchange('B', list)]), 3, 'it destroys nothing');
});

void test('what a grant allowed counts by the limit of its rule', () => {
  const rules =
    '[quota get]\n    on_request: [{ command: expunge, content: true, limit: 3/hour, scope: user }]';
  const { settings } = parse(sound.replace('[quota get]', rules));
  const policy = settings?.policies.get('support') ?? assert.fail();
  const limiter = new Limiter(100);
  const moment = { wallMs: recordedMs + minute, nowMs: 5000, stepsMs: 0, stepsBeforeMs: 0 };
  const spent = createSpent(settings ?? assert.fail(), limiter, moment);
  const lines = textOf(exchange('A', { ...expunge, isGranted: true }, true, settings)).toString();
  assert.match(lines, /"decision":"allow"/);
  spent.take(Buffer.from(lines.replaceAll('"id":"A"', `"id":"A","grant":"${grantId}"`)));
  assert.equal(spent.finish(), 1);
  const asked = { users: ['bob@example.com'], masks: [], everybody: 'none' } as const;
  const [rule] = policy.onRequest;
  const verdicts = [1, 2, 3].map(
    () => limiter.admit(limitAsks(policy, rule?.obligations, asked, 'uid:1002'), 5000).kind,
  );
  assert.deepEqual(verdicts, ['within', 'within', 'over']);
});

void test('an hour is an hour, whatever the wall clock did', () => {
  const lines = exchange('A', expunge);
  assert.equal(left(lines, { wallMs: recordedMs + 59 * minute }), 2);
  assert.equal(left(lines, { wallMs: recordedMs + 61 * minute }), 3);
  const step: Line = { time: recordedMs + 120 * minute, event: 'clock', step_ms: 119 * minute };
  const leapt = { wallMs: recordedMs + 121 * minute, stepsMs: 119 * minute };
  assert.equal(left([...lines, step], leapt), 2, 'the clock was set ahead after it');
  assert.equal(
    left(lines, { ...leapt, wallMs: recordedMs + minute, stepsBeforeMs: 119 * minute }),
    2,
    'and before it',
  );
  assert.equal(left(lines, { wallMs: recordedMs - 600 * minute }), 2, 'a record of tomorrow is a new one');
});

void test('by the policy as it is now; what cannot be judged again counts by the rule that allowed it', () => {
  const lines = exchange('A', expunge);
  const moved = settingsOf(
    sound.replace('[quota get]', '[quota get, who, { command: expunge, content: true, limit: 3/hour }]'),
  );
  assert.equal(left(lines, { settings: moved }), 2);
  const set = Array.from({ length: 3000 }, (_, at) => 900_001 + at).join(',');
  const padded = { ...expunge, words: ['expunge', 'mailbox', 'Trash', 'uid', set] };
  assert.equal(
    left(exchange('A', padded), { settings: moved }),
    2,
    'its arguments are in records of their own',
  );
  const words = ['expunge', 'mailbox', 'Trash', 'subject', 'x'.repeat(20_000)];
  assert.equal(left(exchange('A', { ...expunge, words })), 2, 'its arguments were cut');
  const gone = settingsOf(
    sound.replace('[quota get]', '[quota get, { command: expunge, limit: 3/hour, where: { query: any } }]'),
  );
  assert.equal(left(lines, { settings: gone }), 3, 'another rule');
});

void test('so many admissions wait for the word that they were not sent; earlier ones count', () => {
  const limiter = new Limiter(100_000);
  const moment = { wallMs: recordedMs + minute, nowMs: 5000, stepsMs: 0, stepsBeforeMs: 0 };
  const spent = createSpent(limited, limiter, moment);
  const [admitted, unsent] = exchange('ID', expunge, false);
  assert.ok(admitted !== undefined && unsent !== undefined);
  const each = (line: Line): Buffer => {
    const text = String(textOf([line]));
    const all = Array.from({ length: 4096 + 7 }, (_, at) => text.replace('"id":"ID"', `"id":"E${at}"`));
    return Buffer.from(all.join(''));
  };
  spent.take(each(admitted));
  spent.take(each(unsent));
  assert.equal(spent.finish(), 7);
});
