// Goal: whatever disproves a statement is a command that a real daemon accepts. Phases: each statement that people know to be wrong is
// disproved; its line is sent to the listener that it names; the backend gets the command and the client its reply. What must not happen:
// a line that the daemon refuses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prove, type Witness } from '../../../src/evidence/proof/prove.js';
import { readStatement } from '../../../src/rules/answers/statement.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import {
  configuration,
  type Expected,
  others,
  statements,
  wideNames,
  widePolicies,
  wideStatements,
} from '../../evidence/proof/statements.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { openScriptedDovecot, type ScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import type { Owner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const around = `
state: state
audit: { directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }
`;

async function open(
  owner: Owner,
  text: (backend: string) => string,
): Promise<{ daemon: Daemon; backend: ScriptedDovecot }> {
  const backend = await openScriptedDovecot({
    password: 'p',
    script: (_command, connection) => connection.status('+'),
  });
  const daemon = await startDaemon(owner, {
    config: text(`"${backend.address}", tls: off, password_file: mail1.password`) + around,
    files: { 'mail1.password': 'p\n' },
  });
  owner.after(() => backend.close());
  return { daemon, backend };
}

function witnessOf(daemon: Daemon, { statement: text }: Expected): Witness {
  const { settings } = loadConfiguration(daemon.configFile, { asksForFiles: false });
  assert.ok(settings);
  const statement = readStatement(text, settings);
  assert.ok(statement.kind === 'never', text);
  const proof = prove(statement, settings, { nowMs: Date.now(), isOver: () => false });
  assert.ok(proof.kind === 'disproved', `${text}: ${JSON.stringify(proof)}`);
  return proof.witness;
}

async function checkAccepted(
  owner: Owner,
  { daemon, backend }: Awaited<ReturnType<typeof open>>,
  all: readonly Expected[],
): Promise<number> {
  let accepted = 0;
  for (const each of all.filter(({ answer }) => answer === 'disproved')) {
    const { listener, user, words, isGranted } = witnessOf(daemon, each);
    const line = words.join(' ');
    // Two of them are no plain command: one needs a grant first, and a stream has no reply.
    if (isGranted || line.startsWith('dsync-server')) continue;
    const before = backend.commands.length;
    const client = await openRawClient({ path: daemon.path(`${listener}.sock`), minor: 2, owner });
    const reply = await client.ask({ user, fields: words });
    assert.equal(reply.status, '+', `${each.statement}: ${line}: ${JSON.stringify(reply.logs)}`);
    const [name = ''] = backend.commands[before]?.fields ?? [];
    assert.ok(name !== '' && line.startsWith(name), `${line}: ${name}`);
    accepted += 1;
  }
  return accepted;
}

void test('a real daemon accepts what disproves a statement', async (t) => {
  const [port] = await freePorts(1);
  const main = await open(t, (backend) =>
    configuration((name) => `${name}.sock`, backend, others.replace('127.0.0.1:0', `127.0.0.1:${port}`)),
  );
  assert.ok((await checkAccepted(t, main, statements)) >= 10);
  const wide = await open(t, (backend) =>
    configuration((name) => `${name}.sock`, backend, '', widePolicies, wideNames),
  );
  assert.ok((await checkAccepted(t, wide, wideStatements)) >= 3);
});
