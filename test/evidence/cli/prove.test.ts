// Goal: `prove` answers in words and in JSON, with an exit code for each answer; statements are policy tests as well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deskConfiguration, openDesk } from '../../whole/cli/desk.js';

test('what holds, and what a command line disproves that explain allows', async (t) => {
  const { run } = openDesk(t, deskConfiguration);
  const held = await run('prove', 'policy support may never administer');
  assert.deepEqual([held.exit, held.text.split('\n')[0]], [0, 'holds']);
  const told = await run('prove', 'nobody may run quota get');
  assert.equal(told.exit, 1);
  assert.match(
    told.text,
    /^disproved: .+\n {2}quota get for \S+ \(effect read\)\nto confirm it: dovegate explain /,
  );
  const { answer, command, explain } = JSON.parse(
    (await run('prove', 'nobody may run quota get', '--json')).text,
  );
  assert.deepEqual([answer, command], ['disproved', ['quota', 'get']]);
  const words: string[] = explain;
  const confirmed = await run(words[1] ?? '', ...words.slice(2));
  assert.equal(confirmed.exit, 0, confirmed.text);
});

test('what is no statement, and a change without the file before it', async (t) => {
  const { run } = openDesk(t, deskConfiguration);
  const bad = await run('prove', 'nobody may frob');
  assert.equal(bad.exit, 64);
  assert.match(bad.text, /the statement: at character 12, before "frob", there must be a verb/);
  const change = await run('prove', 'nobody may do more than before');
  assert.equal(change.exit, 64);
  assert.match(change.text, /--against FILE/);
  const same = await run('prove', 'nobody may do more than before', '--against', 'dovegate.yaml');
  assert.equal(same.exit, 0, same.text);
});

test('a statement among the policy tests must hold, and check knows the ones that it cannot be', async (t) => {
  const statements = (...all: readonly string[]): string =>
    `tests:\n${all.map((each) => `  - { prove: ${each} }\n`).join('')}`;
  const one = openDesk(
    t,
    deskConfiguration + statements('policy support may never administer', 'nobody may run quota get'),
  );
  const told = await one.run('test');
  assert.equal(told.exit, 1);
  assert.match(told.text, /^dovegate\.yaml:\d+ {2}prove: nobody may run quota get\n {4}disproved: /);
  assert.match(told.text, /1 of 2 tests failed/);
  const bad = openDesk(
    t,
    deskConfiguration + statements('nobody may frob', 'nobody may do more than before'),
  );
  const checked = await bad.run('check');
  assert.equal(checked.exit, 78);
  assert.match(checked.text, /tests\[0\]\.prove: at character 12/);
  assert.match(checked.text, /tests\[1\]\.prove: needs two configurations/);
});
