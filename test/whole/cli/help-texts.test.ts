// Goal: the help of each subcommand ends with two examples of it, whose options it has, and with its exit codes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helpTexts } from '../../../src/host/output/help-texts.js';
import { runWarm } from '../../kit/gate/warm-program.js';

async function subcommandsOf(...group: string[]): Promise<string[]> {
  const { text } = await runWarm([...group, '--help']);
  const listed = text.slice(text.indexOf('\nCommands:'));
  return [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => [...group, name].join(' '));
}

test('each subcommand has two examples and its exit codes', async () => {
  const groups = await Promise.all(
    [[], ['audit'], ['audit', 'fleet'], ['key'], ['move'], ['page']].map((group) => subcommandsOf(...group)),
  );
  const names = groups
    .flat()
    .filter((name) => !/^(?:audit(?: fleet)?|key|move|page|(?:.* )?help)$/.test(name));
  assert.ok(names.length >= 22);
  for (const { name } of helpTexts())
    assert.ok(names.includes(name), `a text for ${name}, which is no subcommand`);
  for (const name of names) {
    const { text } = await runWarm([...name.split(' '), '--help']);
    const [options = '', rest = ''] = text.split('\nExamples:\n');
    assert.match(rest, /\n\nExit codes: 0 .*\n$/s, name);
    const examples = rest.split('\n\n', 1).join('').split('\n');
    assert.equal(examples.length, 2, name);
    for (const example of examples) {
      const [own = ''] = example.split(' -- ');
      assert.ok(own.startsWith(`  dovegate ${name}`), example);
      for (const [option] of own.matchAll(/--[a-z-]+/g)) assert.ok(options.includes(`${option} `), example);
    }
  }
});
