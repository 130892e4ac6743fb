// Goal: JSON that the program prints cannot make a terminal show something else than it says: what cannot be seen, or turns the direction
// of text, is an escape, and a parser gets the value unchanged. Each subcommand with --json is given such a name, in a configuration, a
// journal, or an answer of a daemon that says it raw.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeJournal } from '../../evidence/cli/shown.js';
import { accessItem } from '../../kit/gate/access-item.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { openStandIn } from '../cli/stand-in.js';

/** Right-to-left override, zero-width space, a C1 control, a tag, a Hangul filler. */
const sly = 'bob\u202egnp.\u200b\u009b31m\u{e0041}\u3164';
const seenOnly = /^[^\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]*$/u;

const configuration = `version: 1
listeners: { support: { unix: run/support.sock, policy: support } }
backends: { mail1: { address: "unix:run/dovecot.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["${sly}", "*@example.com"], allow: [quota get] } }
state: state
audit: { directory: audit, memory: off }
`;

async function openPlace(t: TestContext): Promise<readonly (readonly string[])[]> {
  const folder = openFolder(t);
  const good = join(folder, 'good.yaml');
  const bad = join(folder, 'bad.yaml');
  writeFileSync(good, configuration, { mode: 0o600 });
  writeFileSync(bad, `${configuration}"${sly}": 1\n`, { mode: 0o600 });
  const exchange = {
    id: 'ID1',
    user: sly,
    principal: `${sly}@support`,
    command: 'quota get',
    duration_ms: 9e6,
  };
  const told = JSON.stringify({ state: 'serving', ready: true, exchanges: [exchange] });
  const admin = await openStandIn(t, (_request, response) => response.end(told), folder);
  const gate = join(folder, 'gate.sock');
  await openScriptedDovecot({
    unix: gate,
    minor: 3,
    owner: t,
    async script({ fields: [name = ''] }, connection) {
      if (name.startsWith('dovegate '))
        await connection.row('access', JSON.stringify({ ...accessItem, reason: sly, users: [sly] }));
      else await connection.row(sly);
      return connection.status('+');
    },
  });
  const list = join(folder, 'list');
  writeFileSync(list, 'bob@example.com\n');
  const journal = await writeJournal(t, 3, (record) => ({ ...record, reason: sly }));
  const where = ['--config', good, '--listener', 'support'];
  return [
    ['status', '--json', '--socket', admin],
    ['kill', '--json', '--older-than', '1m', '--dry-run', '--socket', admin],
    ['requests', '--json', '--socket', gate],
    ['requests', '--json', '--socket', gate, accessItem.id],
    ['request', '--json', '--socket', gate, '--reason', 'x', '--', 'mailbox', 'list'],
    ['approve', '--json', '--socket', gate, accessItem.id],
    ['send', '--socket', gate, '--users', list, '--format', 'json', '--', 'mailbox', 'list'],
    ['can', '--json', ...where],
    ['explain', '--json', ...where, '--user', 'bob@example.com', '--', 'mailbox', 'status', 'messages', sly],
    ['check', '--json', '--config', bad],
    ['doctor', '--json', '--config', bad],
    ['audit', 'search', '--json', journal],
    ['audit', 'tail', '--json', journal],
    ['audit', 'show', '--json', 'E1', journal],
  ];
}

/** All texts in a value, keys too. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => [key, ...textsIn(each)]);
}

test('every JSON for people is harmless, and equal for a parser', async (t) => {
  const wrong: string[] = [];
  for (const words of await openPlace(t)) {
    const told = (await runWarm(words)).stdout.toString();
    // One value on several lines, or one a line.
    const lines = told.trimEnd().split('\n');
    const texts = /^[[{]$/.test(lines[0] ?? '') ? [told] : lines;
    if (!lines.every((line) => seenOnly.test(line))) wrong.push(`${words.join(' ')}: raw`);
    if (!texts.flatMap((text) => textsIn(JSON.parse(text))).some((text) => text.includes(sly)))
      wrong.push(`${words.join(' ')}: not the same value: ${told.slice(0, 300)}`);
  }
  assert.deepEqual(wrong, []);
});
