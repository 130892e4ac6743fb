// Goal: whatever instant the daemon is killed at, its trail is whole and true. Rounds of: start on what the last one left, clients that
// send as fast as they are answered, kill -9 at a random instant, now and then already while it starts. What must not happen: a
// command at the backend without an admission of the same user and words, a seq that is missing or comes twice, a chain that
// does not verify over all restarts, an admission that stays without its completion.
// DOVEGATE_ROUNDS=50 makes the 200 rounds of the published figure.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { joinArguments } from '../../../src/journal/records/stored.js';
import { pairedIds, readWhole } from '../../journal/files/reading.js';
import { builtProgram, type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const rounds = 4 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** Enough that some wait for an upstream, whose admissions go to the disk in company. */
const clients = 16;
const policy = `
    users: ["*@example.org"]
    allow: [mailbox status, mailbox create, mailbox list]`;
const audit =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, segment: 64KiB, sign_key: sign.pem }';
const padding = Array.from({ length: 70 }, (_, at) => `Invented-${at}-${'x'.repeat(120)}`);
const commands = [
  (name: string) => ['mailbox status', 'messages', name],
  (name: string) => ['mailbox create', name],
  (name: string) => ['mailbox list', name],
  // Its arguments need records of their own.
  (name: string) => ['mailbox create', ...padding, name],
  // Refused: it has records too, and never gets to the backend.
  (name: string) => ['mailbox delete', name],
];

/**
 * Sends commands that no other one is equal to, until the daemon is gone, beginning with the one at `first`. Returns how many it was
 * answered.
 */
async function load(daemon: Daemon, name: string, first: number): Promise<number> {
  let answered = 0;
  const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 }).catch(() => undefined);
  if (client === undefined) return 0;
  try {
    for (;;) {
      const fields = commands[(first + answered) % commands.length]?.(`${name}-${answered}`) ?? [];
      await client.ask({ user: `u${answered % 7}@example.org`, fields });
      answered += 1;
    }
  } catch {
    // It was killed; that is what this is about.
  }
  client.close();
  return answered;
}

/** What identifies a command on both sides. */
function nameOf(user: unknown, words: readonly unknown[]): string {
  return JSON.stringify([user, ...words]);
}

test('kill -9 at random instants under load', async (t) => {
  const sign = await runWarm(['audit', 'keygen']);
  const { daemon: first, backend } = await openGateway(t, {
    policy,
    audit,
    mail1: { connections: '2' },
    files: { 'sign.pem': sign.stdout.toString() },
  });
  let daemon = first;
  let answered = 0;
  for (let round = 0; round < rounds; round += 1) {
    const loads = Array.from({ length: clients }, (_, at) => load(daemon, `R${round}-${at}`, at));
    // Every second one not before a command with argument records came through, however busy the machine is.
    const before = backend.commands.length;
    const isLong = ({ fields }: { readonly fields: readonly string[] }): boolean =>
      fields.length > padding.length;
    if (round % 2 === 0)
      await backend.waitFor(({ commands: all }) => all.slice(before).some(isLong), 'a long command', 60_000);
    await pause(Math.random() * 400);
    await daemon.kill();
    for (const count of await Promise.all(loads)) answered += count;
    if (round % 4 === 3) {
      const child = spawn(process.execPath, [builtProgram, 'serve', '--config', first.configFile], {
        cwd: first.folder,
        stdio: 'ignore',
      });
      await pause(Math.random() * 600);
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    daemon = await startDaemon(t, { folder: first.folder });
  }
  await daemon.stop();

  const directory = first.path('audit');
  const records = readWhole(directory);
  const admitted = pairedIds(records);
  const admissions = new Map<string, string>();
  let whole = 0;
  for (const admission of records) {
    const { event, id, user, command, decision } = admission;
    const parts = records.filter((one) => one['event'] === 'arguments' && one['id'] === id);
    if (event === 'admission' && parts.length > 0) whole += 1;
    const { args } =
      event === 'admission' && parts.length > 0 ? (joinArguments(admission, parts) ?? {}) : admission;
    if (event !== 'admission' || decision !== 'allow' || !Array.isArray(args)) continue;
    assert.ok(typeof id === 'string' && id.length === 26);
    const name = nameOf(user, [command, ...args]);
    assert.ok(!admissions.has(name), `two admissions of ${name}`);
    admissions.set(name, id);
  }
  const without = backend.commands
    .map(({ user, fields }) => nameOf(user, fields))
    .filter((name) => !admissions.has(name));
  assert.deepEqual(without, []);
  assert.equal(new Set(backend.commands.map(({ line }) => line.toString())).size, backend.commands.length);
  assert.ok(whole > 0, 'no command had argument records');
  const unknown = records.filter(({ outcome }) => outcome === 'unknown').length;
  const startRecords = records.filter(({ event }) => event === 'start');
  const starts = startRecords.length;
  // A kill damages no ring.
  assert.deepEqual(
    startRecords.filter(({ ring, lost }) => ring !== undefined || lost !== undefined),
    [],
  );
  assert.deepEqual(readdirSync(first.path('shm')), []);
  const recovered = records.reduce((sum, { recovered: count }) => sum + Number(count ?? 0), 0);
  assert.ok(starts > rounds && backend.commands.length >= rounds / 2);

  const verified = await runWarm(['audit', 'verify', directory, '--key', first.path('sign.pem')]);
  assert.equal(verified.exit, 0, verified.text);
  const files = readdirSync(directory);
  t.diagnostic(
    `${rounds} kills, ${answered} commands answered, ${backend.commands.length} at the backend, each with its admission, ${whole} with argument records; ` +
      `${records.length} records of ${admitted.size} exchanges in one chain over ${starts} starts and ` +
      `${files.filter((name) => name.includes('.jsonl')).length} files; ${unknown} closed as unknown, ${recovered} taken from memory, ` +
      `${files.filter((name) => name.includes('.torn')).length} torn ends put aside`,
  );
});
