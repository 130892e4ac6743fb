// Goal: what the userdb says is judged like what a line says: by the daemon, by whoever has the answers, and again by a replay of the
// daemon's records. What the passdb says: answers/routes.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplay } from '../../../src/evidence/review/replay.js';
import { isObject } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { assess, fateOf, plainLine } from '../../../src/rules/policy/assess.js';
import { type Answers, nothingKnown, type UserdbAnswer, userdbKey } from '../../../src/rules/policy/route.js';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { fateOfRecords } from '../../kit/plain/one-answer.js';

const settings = `
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

function fieldsOf(record: Parameters<typeof encodeBody>[0]): Readonly<Record<string, unknown>> {
  const fields: unknown = JSON.parse(`{${encodeBody(record)}}`);
  assert.ok(isObject(fields));
  return fields;
}

void test('one answer each where the userdb is asked: the daemon, its answers in assess, a replay of its records', async () => {
  const auth = (_kind: string, user: string): string => userdb[user] ?? 'NOTFOUND';
  const engine = openMemoryEngine({ settings, auth, minor: 4 });
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
