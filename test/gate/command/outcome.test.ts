// Goal: one line has one outcome, whoever says it: the daemon that enforces, the rules of one that observes, a candidate beside one that
// serves nearly everything, explain, and a replay of the records; reasons, limits and numbers of mails included. Lines and times are
// generated from a seed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOutcomeWords } from '../../../src/doveadm/codes/outcomes.js';
import { recordedLine } from '../../../src/evidence/review/recorded.js';
import { createReplay } from '../../../src/evidence/review/replay.js';
import { isObject } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { textIn } from '../../../src/journal/records/stored.js';
import { explainLine } from '../../../src/rules/answers/explanation.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { withMatches } from '../../../src/rules/policy/outcome.js';
import { Limiter } from '../../../src/rules/policy/terms.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const rules = `users: ["*@example.org"]
except: [ceo@example.org]
limits: { rate: 25/minute, distinct_users: 4/minute }
deny: [{ command: mailbox delete, where: { mailbox: [Legal] } }]
allow:
  - quota get
  - { command: mailbox subscribe, reason: required, limit: 3/minute }
  - { command: mailbox delete, reason: required }
  - { command: mailbox create, limit: 1/minute }
  - { command: expunge, max_matches: 3, where: { query: { mailbox: [Trash] } } }
`;
const onRequest = 'on_request: [{ command: fetch, content: true }]\n';
const usual = /    users: \["\*@example\.org"\]\n    allow: .*\n/;

const seed = Number(process.env['DOVEGATE_SEED'] ?? 61);
const count = 900;

interface Line {
  readonly user: string;
  readonly words: readonly string[];
  readonly reason: string | undefined;
  readonly matches: number;
  /** Before it, in seconds. */
  readonly waitS: number;
}

function* generated(): Generator<Line> {
  let state = seed;
  const upTo = (max: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
  const one = <T>(of: readonly T[]): T => of[upTo(of.length)] ?? assert.fail();
  for (let at = 0; at < count; at += 1) {
    const words = one([
      () => ['quota get'],
      () => ['quota get'],
      () => ['mailbox subscribe', one(['A', 'B'])],
      () => ['mailbox delete', one(['Legal', 'Old'])],
      () => ['mailbox create', one(['A', 'B'])],
      () => ['expunge', 'mailbox', one(['Trash', 'Trash', 'INBOX']), 'all'],
      () => ['fetch', 'text', 'mailbox', 'INBOX', 'all'],
      () => ['fts rescan'],
      () => one([['nonsense'], ['who', '*'], ['import', 'maildir:/x', '', 'all'], ['quota get', '-x']]),
    ])();
    const name = one(['alice', 'alice', 'bob', 'carol', 'dave', 'frank', 'ceo']);
    yield {
      user: words[0] === 'who' ? '' : `${name}@${upTo(20) === 0 ? 'example.net' : 'example.org'}`,
      words,
      reason: one(['', '', 'ticket 4711', '..']) || undefined,
      matches: upTo(6),
      waitS: one([1, 1, 2, 3, 30]),
    };
  }
}

/** A daemon with that policy, and its one client. */
async function opened(policy: string, candidate?: string) {
  const text = policy.replace(/^(?=.)/gm, '    ');
  const files = candidate === undefined ? {} : { files: { 'candidate.yaml': candidate } };
  const engine = openMemoryEngine({ settings: memorySettings.replace(usual, text), ...files });
  // Windows are counted in slots of a second here, by the clock of the daemon and by that of the records.
  engine.clock.leap(345.5);
  let matches = 0;
  engine.setAnswer((line) =>
    replyPacket(`${line.includes('\tsearch\t') ? 'guid\t1\t'.repeat(matches) : ''}\n+\n`),
  );
  const client = await engine.client(2);
  return {
    engine,
    async ask({ user, words, reason, ...line }: Line) {
      ({ matches } = line);
      await engine.clock.advance(line.waitS * 1000);
      engine.forget();
      if (reason !== undefined) await client.line(`||OPTION|dovegate-reason=${reason}`);
      await client.line(`|${user}|${words.join('|')}`);
      await engine.clock.advance(0);
      return rowOf(engine);
    },
  };
}

function rowOf(engine: MemoryEngine) {
  const own = (event: AuditRecord['event']): AuditRecord =>
    engine.recordsOf(event).find((record) => record.for === undefined) ?? assert.fail(`no ${event}`);
  const fieldsOf = (record: AuditRecord): Readonly<Record<string, unknown>> => {
    const fields: unknown = JSON.parse(`{${encodeBody(record)}}`);
    return isObject(fields) ? fields : assert.fail();
  };
  const [admission, completion] = [fieldsOf(own('admission')), fieldsOf(own('completion'))];
  const fields = { ...admission, ...completion, text: admission['text'], time: admission['time'] };
  const row = { fields, admittedSeq: 1, completedSeq: 2, completedTime: undefined };
  const line = recordedLine(row);
  const isUnread = completion['outcome'] === 'unparsable';
  return { row, admission, done: line?.kind === 'line' && !isUnread ? line.done : 'unparsable' };
}

test(`daemon, explain, observe, shadow and replay say the same of ${count} lines (seed ${seed})`, async () => {
  const enforcing = await opened(rules + onRequest);
  const observing = await opened(`mode: observe\n${rules}`);
  const serving = await opened(
    'mode: observe\nusers: []\nallow: []\nshadow: candidate.yaml\n',
    rules + onRequest,
  );
  const { engine } = enforcing;
  const policy = engine.settings.policies.get('support') ?? assert.fail();
  const limiter = new Limiter(1000);
  const [replay, move] = [createReplay(engine.settings), createReplay(engine.settings)];
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  let refusedOfServed = 0;
  for (const line of generated()) {
    const daemon = await enforcing.ask(line);
    const observed = await observing.ask(line);
    const beside = await serving.ask(line);
    const matches = daemon.admission['matches'];
    const subject = {
      listener: 'support',
      principal: String(daemon.admission['principal']),
      clientMinor: 2,
      policy,
    };
    const given = {
      reason: line.reason,
      origin: 'uid:1000',
      count: (asks: Parameters<Limiter['admit']>[0]) => limiter.admit(asks, engine.clock.now()),
    };
    const asked = plainLine(line.user, line.words);
    const { table } = engine.exchanges.router;
    const { outcomes } = explainLine(asked, subject, table, engine.clock.wallMs(), given);
    const explained =
      outcomes && withMatches(outcomes.done, typeof matches === 'number' ? matches : undefined);
    // Observing counts no mails, and has nothing on request.
    const depends = matches === undefined ? daemon.done : 'depends';
    const said = {
      daemon: daemon.done,
      explain: explained?.kind,
      observe: (textIn(observed.admission, 'would') || observed.done).replace(depends, daemon.done),
      shadow: (textIn(beside.admission, 'shadow') || beside.done).replace(depends, daemon.done),
    };
    if (daemon.done === 'on-request') said.observe = said.observe.replace('denied', 'on-request');
    if (Object.values(said).some((each) => each !== daemon.done))
      wrong.push(`${line.user} ${line.words.join(' ')} ${line.reason}: ${JSON.stringify(said)}`);
    const kind = matches === undefined ? daemon.done : `depends, ${daemon.done}`;
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    replay.take(daemon.row);
    move.take(beside.row);
    if (beside.done === 'served' && said.daemon !== 'served')
      refusedOfServed += Number(matches === undefined);
  }
  assert.deepEqual(wrong.slice(0, 10), []);
  const moved = move.finish();
  assert.deepEqual(replay.finish().changes, [], 'its own records judged again');
  assert.equal(moved.allowToDeny, refusedOfServed);
  const counted = [...seen].reduce((sum, [kind, each]) => sum + (kind.startsWith('depends') ? each : 0), 0);
  assert.equal(moved.otherwise, counted, 'how many mails match is not recorded where nothing is counted');
  const kinds = policyOutcomeWords.filter((kind) => kind !== 'depends');
  for (const kind of [...kinds, 'depends, served', 'depends, denied'])
    assert.ok((seen.get(kind) ?? 0) >= 10, `${kind}: ${seen.get(kind) ?? 0}`);
});
