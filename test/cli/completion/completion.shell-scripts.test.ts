// Goal: each shell's script is for the name that it is asked for. That shells understand them is tested in test/shells.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allNames, allShells, shellScript } from '../../../src/cli/completion/completion.js';

void test('a script asks for its own name, and ends with a line', () => {
  for (const shell of allShells) {
    for (const name of allNames) {
      const script = shellScript(shell, name);
      assert.match(script, new RegExp(`dovegate complete --name ${name} -- `));
      assert.match(script, new RegExp(`(complete -F _|compdef _|complete -c )${name}`));
      assert.ok(script.endsWith('\n'));
    }
  }
});
