// Goal: one command line has one answer, whoever is asked: the daemon, explain with the configuration or over the socket, policy
// tests, replay of the daemon's own records; for both series and old and new clients. What must not happen: somebody says allowed, and
// the daemon refuses, or the other way round.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplay } from '../../../src/evidence/review/replay.js';
import { isObject } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { explainLine } from '../../../src/rules/answers/explanation.js';
import { runTests } from '../../../src/rules/answers/policy-tests.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { fateOf, plainLine } from '../../../src/rules/policy/assess.js';
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

function fieldsOf(record: AuditRecord): Readonly<Record<string, unknown>> {
  const fields: unknown = JSON.parse(`{${encodeBody(record)}}`);
  assert.ok(isObject(fields));
  return fields;
}

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
