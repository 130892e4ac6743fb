import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandFault, formatFault } from '../../../src/cli/output/output.js';

void test('a fault is told with what the system said, line by line, and commands no terminal', () => {
  const cause = Object.assign(new Error('no such file'), { code: 'ENOENT' });
  assert.equal(
    formatFault(new CommandFault(78, 'a\u001b[2J cannot be read', cause)),
    'a\\x1b[2J cannot be read: there is no such file or directory',
  );
  assert.equal(formatFault(new CommandFault(64, 'one\ntwo')), 'one\ntwo');
});
