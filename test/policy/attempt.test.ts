// Goal: an attempt holds what was parsed, whatever the spelling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../src/catalog/parse.js';
import { resolveCommand } from '../../src/catalog/resolve.js';
import { attemptOf } from '../../src/policy/attempt.js';

void test('two spellings of a command are one attempt', () => {
  const attempts = [
    ['mailbox', 'status', '-t', 'messages vsize', 'INBOX'],
    ['mailbox status', 'messages  vsize', '--total-sum', '--', 'INBOX'],
  ].map((words) => {
    const resolved = resolveCommand('2.4', words);
    assert.ok(resolved);
    const parsed = parseArguments('2.4', resolved.command, resolved.args);
    assert.ok(parsed.kind === 'parsed', JSON.stringify(parsed));
    return attemptOf({ listener: 'support', principal: 'bob@support' }, 'alice@example.com', parsed);
  });
  assert.deepEqual(attempts[0], attempts[1]);
  assert.equal(attempts[0]?.effect, 'read');
  assert.deepEqual(attempts[0]?.values.get('field'), ['messages', 'vsize']);
});
