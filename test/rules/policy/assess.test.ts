// What the tables of test/rules/policy/answers cannot show of an assessment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestMinor } from '../../../src/doveadm/protocol/minors.js';
import { createReplay } from '../../../src/evidence/review/replay.js';
import { isObject } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { explainLine } from '../../../src/rules/answers/explanation.js';
import { runTests } from '../../../src/rules/answers/policy-tests.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import {
  type Answers,
  createRoutingTable,
  nothingAsked,
  nothingKnown,
  type UserdbAnswer,
  userdbKey,
} from '../../../src/rules/policy/route.js';
import type { DialledEnd } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import {
  type AnsweredLine,
  answerFor,
  answerMinors,
  answerSeries,
  answerTables,
  fateOfRecords,
  readLine,
} from '../../kit/plain/one-answer.js';
import { settingsOf, withPolicies } from '../config/sound.js';

void test('a mail command that names no user goes nowhere, even where a judgement allows it', () => {
  const settings = settingsOf(withPolicies('  support: { users: ["*"], allow: [quota get] }\n'));
  const policy = settings.policies.get('support') ?? assert.fail();
  const subject = { listener: 'support', principal: 'carol@support', clientMinor: newestMinor, policy };
  const routing = routingTableOf(settings);
  const words = ['quota', 'get'];
  const { judgement } = assess(plainLine('alice', words), subject, routing, nothingAsked, 0);
  assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
  const allowing = {
    ...judgement,
    user: '',
    attempt: { ...judgement.attempt, user: undefined, users: [] },
  };
  const remembered = {
    find: () => allowing,
    keep: () => undefined,
    clear: () => undefined,
    size: 1,
    bytes: 0,
  };
  const table = createRoutingTable({ ...routing, remembered });
  const found = assess(plainLine('', words), subject, table, nothingAsked, 0);
  const nowhere = ['obstacle', { kind: 'unroutable', reason: 'the command names no user' }];
  assert.deepEqual([fateOf(found), found.obstacle], nowhere);
  assert.deepEqual(found.destinations, []);
});

void test('a line as people write it has no flags', () => {
  assert.deepEqual(plainLine('alice', ['quota', 'get']), {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    user: 'alice',
    words: ['quota', 'get'],
    fault: undefined,
    named: undefined,
  });
});

// Goal: what the userdb says is judged like what a line says: by the daemon, by whoever has the answers, and again by a replay of the
// daemon's records. What the passdb says: answers/routes.txt.

const resolving = `
version: 1
listeners: { support: { unix: support.sock, policy: support } }
backends:
  mail1: { address: "unix:mail1.sock", series: "2.4", shared_namespaces: [] }
  mail2: { address: "unix:mail2.sock", series: "2.3", shared_namespaces: [] }
mail_users: { resolve: /run/dovecot/auth-userdb }
routes:
  - { users: ["*@one.example", "*@none.example"], backend: mail1 }
  - { users: ["*@two.example"], passdb: /run/dovecot/other-userdb }
policies:
  support:
    users: ["*@one.example", "*@two.example"]
    except: ["ceo@*"]
    allow: [quota get, fts flatcurve check, who, { command: copy, where: { source-user: any } }]
`;

/** What the userdb says; who is not here is not known to it. */
const userdb: Readonly<Record<string, string>> = {
  'bob@one.example': 'USER|bob@one.example',
  'sales@one.example': 'USER|carol@one.example',
  'boss@one.example': 'USER|ceo@one.example',
  'far@one.example': 'USER|dave@none.example',
  'broken@one.example': 'FAIL',
};

// [what becomes of it, user, words]
const lines: readonly (readonly [string, string, string])[] = [
  ['allow', 'bob@one.example', 'quota get'],
  ['allow', 'nobody@one.example', 'quota get'],
  ['allow', 'sales@one.example', 'quota get'],
  ['deny', 'boss@one.example', 'quota get'],
  ['deny', 'far@one.example', 'quota get'],
  ['obstacle', 'broken@one.example', 'quota get'],
  ['deny', '', 'who|bob@one.example|boss@one.example'],
  ['allow', '', 'who|bob@one.example|sales@one.example'],
  ['deny', 'bob@one.example', 'copy|Trash|user|boss@one.example|mailbox|INBOX|all'],
  ['deny', 'dave@none.example', 'quota get'],
  ['unparsable', 'sales@one.example', 'quota gte'],
];

function fieldsOf(record: AuditRecord): Readonly<Record<string, unknown>> {
  const fields: unknown = JSON.parse(`{${encodeBody(record)}}`);
  assert.ok(isObject(fields));
  return fields;
}

void test('one answer each where the userdb is asked: the daemon, its answers in assess, a replay of its records', async () => {
  const auth = (_kind: string, user: string): string => userdb[user] ?? 'NOTFOUND';
  const engine = openMemoryEngine({ settings: resolving, auth, minor: 4 });
  const table = routingTableOf(engine.settings);
  const policy = engine.settings.policies.get('support') ?? assert.fail();
  const wrong: string[] = [];
  for (const [expected, user, text] of lines) {
    const words = text.split('|');
    engine.forget();
    const client = await engine.client(4);
    await client.line(`|${user}|${text}`);
    client.peer.end();
    await engine.clock.advance(0);
    await settle();
    const [admission, completion] = ['admission', 'completion'].map(
      (event) => engine.records.find(({ record }) => record.event === event)?.record,
    );
    assert.ok(admission && completion, text);
    const fields = { ...fieldsOf(admission), ...fieldsOf(completion) };
    const replay = createReplay(engine.settings);
    const row = { fields: { ...fields, time: fieldsOf(admission)['time'] }, admittedSeq: 1, completedSeq: 2 };
    replay.take({ ...row, completedTime: undefined });
    const changes = replay.finish().changes.map(({ from, to }) => `${from} -> ${to}`);
    // Its question is answered until there is none.
    const answers = new Map<string, UserdbAnswer>();
    let fate: string | undefined;
    while (fate === undefined) {
      const subject = { listener: 'support', principal: 'x@support', clientMinor: 4, policy };
      const known: Answers = { ...nothingKnown, userdb: answers };
      const found = assess(plainLine(user, words), subject, table, known, engine.clock.wallMs());
      if (found.judgement !== undefined) fate = fateOf(found);
      else for (const each of found.questions) answers.set(...answerTo(each));
    }
    const daemon = fateOfRecords(fieldsOf(admission), fieldsOf(completion));
    if (fate !== expected || daemon !== expected || changes.length > 0) {
      wrong.push(`${user} ${text}: daemon ${daemon}, assess ${fate}, replay ${changes.join() || 'the same'}`);
    }
  }
  assert.deepEqual(wrong, []);
});

function answerTo(question: { kind: string; users?: readonly string[] }): [string, UserdbAnswer] {
  const users = question.users ?? assert.fail(question.kind);
  const said = users.map((user) => userdb[user] ?? '');
  const names = said.map((each) => each.replace('USER|', ''));
  const aliases = names.filter((name) => !users.includes(name) && name !== '');
  const failed = { kind: 'failed', code: 'fail' } as const;
  return [userdbKey(users), said.includes('FAIL') ? failed : { kind: 'resolved', aliases }];
}

// Goal: one command line has one answer, whoever is asked: the daemon, explain with the configuration or over the socket, policy
// tests, replay of the daemon's own records; for both series and old and new clients. What must not happen: somebody says allowed, and
// the daemon refuses, or the other way round.

/** Sends the line, and its text where it has one; the fields of both records. */
async function served(engine: MemoryEngine, minor: number, line: AnsweredLine) {
  engine.forget();
  const client = await engine.client(minor);
  const { user, words } = readLine(line);
  await client.line(`|${user}|${words.join('|')}`);
  if (words[0] === 'save') await client.line('.');
  client.peer.end();
  await settle();
  const [admission, completion] = ['admission', 'completion'].map(
    (event) => engine.records.find(({ record }) => record.event === event)?.record,
  );
  assert.ok(admission && completion, `${line.join(' ')}: no records`);
  return { admission: fieldsOf(admission), completion: fieldsOf(completion) };
}

/** What the daemon says when it is asked. */
async function asked(engine: MemoryEngine, minor: number, line: AnsweredLine): Promise<string> {
  await engine.clock.advance(1_000);
  const client = await engine.client(minor);
  const { user, words } = readLine(line);
  const named = user === '' ? [] : ['-u', user];
  await client.line(['', '', 'dovegate explain', ...named, '--', ...words].join('|'));
  const said = client.said();
  client.peer.end();
  const [, decision] = /decision\t([a-z]+)\t/.exec(said) ?? assert.fail(said);
  return /\tobstacle\t[a-z-]+\t/.test(said) ? 'obstacle' : (decision ?? '');
}

let seen = 0;

for (const [name, table] of Object.entries(answerTables)) {
  for (const [at, series] of answerSeries.entries()) {
    for (const [column, minor] of answerMinors.entries()) {
      void test(`one answer each: ${name}, Dovecot ${series}, a client of minor ${minor}`, async () => {
        const tests = table.lines.map((line) => {
          const { user, words } = readLine(line);
          const expect = answerFor(line[0], at, column);
          return `  - ${JSON.stringify({ listener: 'support', user, command: words, client: minor, expect })}`;
        });
        const settings = `${table.settings(series)}tests:\n${tests.join('\n')}\n`;
        const ofSecond = series === '2.3' ? 2 : 4;
        // Of the narrow table the first backend is of the other series.
        const minorOf = ({ address }: DialledEnd): number =>
          name === 'narrow' && address.kind === 'unix' && address.path.endsWith('mail1.sock') ? 4 : ofSecond;
        const engine = openMemoryEngine({ settings, minor: minorOf });
        const policy = engine.settings.policies.get('support') ?? assert.fail();
        const routing = routingTableOf(engine.settings);
        const outcomes = runTests(engine.settings, engine.clock.wallMs());
        const wrong: string[] = [];
        for (const [row, line] of table.lines.entries()) {
          const { user, words } = readLine(line);
          const { admission, completion } = await served(engine, minor, line);
          const { principal } = admission;
          const subject = { listener: 'support', principal: String(principal), clientMinor: minor, policy };
          const now = engine.clock.wallMs();
          const tested = outcomes[row]?.assessment;
          let replayed = 'unparsable';
          const replay = createReplay(engine.settings, ({ assessment }) => {
            replayed = fateOf(assessment);
          });
          const fields = { ...admission, ...completion, time: admission['time'] };
          replay.take({ fields, admittedSeq: 1, completedSeq: 2, completedTime: undefined });
          assert.deepEqual(replay.finish().changes, [], line.join(' '));
          const answers = {
            daemon: fateOfRecords(admission, completion),
            explain: fateOf(explainLine(plainLine(user, words), subject, routing, now)),
            socket: await asked(engine, minor, line),
            test: tested === undefined ? 'nobody' : fateOf(tested),
            replay: replayed,
          };
          const expected = answerFor(line[0], at, column);
          if (Object.values(answers).some((each) => each !== expected)) {
            wrong.push(`${line.join(' ')}: ${JSON.stringify(answers)}`);
          }
          assert.equal(admission['client'], minor);
          seen += 1;
        }
        assert.deepEqual(wrong, []);
      });
    }
  }
}

void test('at least 80 lines were compared for each series and client', () => {
  assert.ok(seen >= 80 * answerSeries.length * answerMinors.length, String(seen));
});
