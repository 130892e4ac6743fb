// Whom a command touches, as a table: what is recorded of it, and what an auditor finds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../src/domain/commands/catalog.js';
import { createUserNames, defaultCharacters } from '../../../src/domain/identity/user-name.js';
import { usersTouchedBy } from '../../../src/domain/policy/attempt.js';
import { judge } from '../../../src/domain/policy/judge.js';
import { parseCommandLine } from '../../../src/protocol/command.js';
import { openMemoryEngine } from '../../kit/memory-engine.js';

const policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail('no policy');

interface Around {
  readonly series?: readonly Series[];
  readonly aliases?: readonly string[];
  readonly clientMinor?: number;
  readonly shared?: readonly string[] | undefined;
}

function touched(line: string, around: Around = {}): readonly string[] | string {
  const read = parseCommandLine(Buffer.from(line.replaceAll('|', '\t')), { fieldsMax: 300 });
  assert.ok(read.kind === 'command', line);
  const judgement = judge(read.command, around.series ?? ['2.4'], {
    listener: 'support',
    principal: 'anna@support',
    clientMinor: around.clientMinor ?? 4,
    policy,
    userNames: createUserNames({ characters: defaultCharacters, defaultRealm: 'example.com' }),
    sharedNamespaces: 'shared' in around ? around.shared : [],
    nowMs: 0,
    aliases: around.aliases,
  });
  return judgement.kind === 'judged' ? usersTouchedBy(judgement.attempt) : judgement.message;
}

const bob = 'bob@example.com';
const alice = 'alice@example.com';
const everybody = ['*'];
const cases: readonly (readonly [line: string, users: readonly string[], around?: Around])[] = [
  ['|bob|quota|get', [bob]],
  ['|BOB@Example.COM|quota|get', [bob]],
  ['|bob|quota|get', [bob, alice], { aliases: [alice] }],
  ['|bob|quota|get|-A', everybody],
  ['|bob|quota|get|-A', [bob], { clientMinor: 2, series: ['2.3'] }],
  ['|bob|copy|Saved|user|alice|mailbox|INBOX', [bob, alice]],
  ['|bob|copy|Saved|user|bob|mailbox|INBOX', [bob]],
  ['|bob|acl|set|INBOX|user=alice|lookup', [bob, alice]],
  ['|bob|acl|set|INBOX|owner|lookup', [bob]],
  ['|bob|acl|set|INBOX|anyone|lookup', everybody],
  ['|bob|acl|set|INBOX|group=staff|lookup', everybody],
  ['||user|alice|bob', [alice, bob]],
  ['||user|al*@example.com|bob', [bob, 'al*@example.com']],
  ['||user|al?ce@example.com', ['al?ce@example.com']],
  ['||user|*', everybody],
  ['||user|?*', everybody],
  ['||user|*@example.com', ['*@example.com']],
  ['||auth|cache|flush|alice|bob', [alice, bob]],
  ['||who', everybody],
  ['||who|al*@example.com', ['al*@example.com']],
  ['||who|192.0.2.0/24', everybody],
  ['||kick|alice', [alice]],
  ['||kick|--passdb-field=group|alice', everybody],
  ['||log|errors', everybody],
  ['||reload', []],
  ['|bob|dict|get|file:/tmp/x|priv/key', everybody],
  ['|bob|mailbox|status|messages|shared/alice/INBOX', everybody, { shared: ['shared/'] }],
  ['|bob|mailbox|status|messages|*', [bob], { shared: ['shared/'] }],
  ['|bob|mailbox|list', [bob], { shared: ['shared/'] }],
  ['|bob|fetch|uid|mailbox|shared/alice/INBOX', everybody, { shared: ['shared/'] }],
  ['|bob|fetch|uid|mailbox|shared/alice/INBOX', everybody, { shared: undefined }],
  ['|bob|fetch|uid|mailbox|INBOX', [bob], { shared: undefined }],
  ['|bob|fetch|uid|all', [bob], { shared: undefined }],
];

test('whom a command touches, table', () => {
  const told = cases.flatMap(([line, users, around]) => {
    const found = touched(line, around);
    return JSON.stringify(found) === JSON.stringify(users) ? [] : [`${line}: ${JSON.stringify(found)}`];
  });
  assert.deepEqual(told, []);
});
