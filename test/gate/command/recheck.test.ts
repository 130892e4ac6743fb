// Goal: a command that waited through a reload is judged by what holds then; the stricter wins, and what was not waited for stays.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Destination } from '../../../src/gate/command/assessment.js';
import type { ExchangeContext } from '../../../src/gate/command/context.js';
import type { Policy } from '../../../src/rules/policy/policy.js';
import { createRoutingTable, type RoutingTable } from '../../../src/rules/policy/route.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryEngine,
  type MemoryEngineOptions,
  memorySettings,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

/** A policy of another configuration. */
function policyOf(text: string): Policy {
  const settings = memorySettings.replace('allow: [quota get, mailbox list', text);
  return openMemoryEngine({ settings }).settings.policies.get('support') ?? assert.fail('no policy');
}

type Waiting = Awaited<ReturnType<typeof waiting>>;

/** A command that waits, while two others have both upstreams. */
async function waiting(
  settings = memorySettings,
  line = '\talice@example.org\tquota get\n',
  options: MemoryEngineOptions = {},
) {
  const engine = openMemoryEngine({ settings, ...options, answer: () => undefined });
  const before = engine.context;
  let holding = { exchanges: before.exchanges, policy: before.policy };
  const context = {
    ...before,
    exchanges: () => holding.exchanges(),
    policy: (peer: { readonly listener: string }) => holding.policy(peer),
  };
  const open = () => engine.client(0, { uid: undefined }, { context });
  for (let n = 0; n < 2; n += 1) {
    const { peer } = await open();
    peer.send(line);
    // A password comes from a real file.
    await until(async () => engine.commands.length > n, 'the commands that run');
  }
  const last = await open();
  last.peer.send(line);
  await until(async () => engine.pool.snapshot().waiters === 1, 'the command that waits');
  return {
    engine,
    /** From now on this holds. */
    reload: (
      policy: Policy | undefined,
      change = (each: ExchangeContext): ExchangeContext => ({ ...each }),
    ): void => {
      const exchanges = change(before.exchanges());
      holding = { exchanges: () => exchanges, policy: () => policy };
    },
    /** What runs ends, so the upstream that it waits for becomes free; what it said then. */
    go: async (): Promise<string> => {
      for (const { end } of engine.commands.slice(0, 2)) {
        end.peer.send(replyPacket('row\t\n+\n'));
        await settle();
      }
      engine.commands[2]?.end.peer.send(replyPacket('row\t\n+\n'));
      await until(async () => last.said().endsWith('\n'), 'what the client gets');
      return last.said();
    },
  };
}

const allows = 'allow: [quota get, mailbox list';

void test('what both allow is sent as it was judged', async () => {
  const { engine, reload, go } = await waiting();
  reload(policyOf('limits: { rate: 1/hour }\n    allow: [quota get, mailbox list'));
  assert.match(await go(), /\n\+\n$/);
  assert.equal(engine.commands.length, 3);
});

/** The same policy, and a router with another table. */
const withTable =
  (change: (table: RoutingTable<Destination>) => RoutingTable<Destination>) =>
  ({ reload, engine }: Waiting): void =>
    reload(engine.settings.policies.get('support'), (context) => ({
      ...context,
      router: { ...context.router, table: change(context.router.table) },
    }));
const moved = (text: string): string =>
  text
    .replace('connections: 2 }', 'connections: 2 }, mail2: { address: "unix:/run/two" }')
    .replace('backend: mail1', 'backend: mail2');
const inRealm = (realm: string): string =>
  `${memorySettings.replace('*@example.org', `*@${realm}`)}mail_users: { default_realm: ${realm} }\n`;

const to =
  (text: string) =>
  ({ reload }: Waiting): void =>
    reload(policyOf(text));
const reason = to('allow: [{ command: quota get, reason: required }, mailbox list');
const noPools = withTable((table) => createRoutingTable({ ...table, backends: [] }));
const otherRealm = ({ reload }: Waiting): void => {
  const next = openMemoryEngine({ settings: inRealm('example.net') });
  const { userNames } = next.context.exchanges().router.table;
  reload(next.settings.policies.get('support'), (context) => ({
    ...context,
    router: { ...context.router, table: { ...context.router.table, userNames } },
  }));
};
const toMail2 = withTable((table) => {
  const next = openMemoryEngine({ settings: moved(memorySettings) }).context.exchanges().router.table;
  return createRoutingTable({ ...next, backends: [...table.backends, ...next.backends] });
});
const byUserdb = withTable((table) => ({ ...table, asksUserdb: true }));
const ofRealm = [inRealm('example.org'), '\talice\tquota get\n'] as const;

// [what, what the reload changes, status, settings and line before it]
const refused: readonly (readonly [string, (waits: Waiting) => void, string, ...string[]])[] = [
  ['what is denied now', to('allow: [mailbox list'), '-NOPERM'],
  ['of a peer that is no longer served', ({ reload }) => reload(undefined), '-NOPERM'],
  ['without a reason that is needed now', reason, '-NOPERM'],
  // What cannot be made stricter on the way is to be tried again.
  ['with log lines that are kept back now', to(`logs: none\n    ${allows}`), '-TEMPFAIL'],
  ['to a pool that is gone', noPools, '-TEMPFAIL'],
  ['for a user whose name means another one now', otherRealm, '-TEMPFAIL', ...ofRealm],
  ['for a user of whom the userdb is to be asked now', byUserdb, '-TEMPFAIL'],
  ['for a user who was moved to another backend meanwhile', toMail2, '-TEMPFAIL'],
];
for (const [what, change, status, ...before] of refused)
  void test(`not sent, though its admission says allow: ${what}`, async () => {
    const waits = await waiting(...before);
    change(waits);
    assert.ok((await waits.go()).endsWith(`\n${status}\n`));
    assert.equal(waits.engine.commands.length, 2);
  });

/** The reload also gives the backend another address, so it has another pool, and the one before takes no command any more. */
function replaceBackend({ engine, reload }: Waiting, settings: string): MemoryEngine {
  const next = openMemoryEngine({ settings });
  reload(next.settings.policies.get('support'), () => next.context.exchanges());
  engine.pool.setDrained(true);
  return next;
}
const elsewhere = memorySettings.replace('doveadm-server"', 'doveadm-new"');

void test('a backend with another address: what waited for the one before is sent there, once', async () => {
  const waits = await waiting();
  const next = replaceBackend(waits, elsewhere);
  const ends = waits.engine.commands.map(({ end }) => end.peer);
  for (const peer of ends) {
    // It may be another machine, and two of them never run commands for one user at once.
    await settle();
    assert.equal(next.commands.length, 0);
    peer.send(replyPacket('row\t\n+\n'));
  }
  assert.match(await waits.go(), /\n\+\n$/);
  assert.deepEqual([waits.engine.commands.length, next.commands.length], [2, 1]);
});

void test('a backend with the same address, as with another password: what waits is sent while what runs goes on', async () => {
  const waits = await waiting();
  const next = replaceBackend(waits, memorySettings);
  await settle();
  assert.deepEqual([waits.engine.commands.length, next.commands.length], [2, 1]);
  assert.match(await waits.go(), /\n\+\n$/);
});

const password = join(openFolder({ after }), 'password');
writeFileSync(password, 'secret\n', { mode: 0o600 });

/** Two backends at these hosts. */
const hosted = (one: string, two: string): string =>
  memorySettings.replace(
    /^backends: .*$/m,
    `backends:
  mail1: { address: "${one}:1", connections: 2, tls: off, password_file: ${password}, shared_namespaces: [] }
  mail2: { address: "${two}:1", connections: 2, tls: off, password_file: ${password}, shared_namespaces: [] }`,
  );

void test('a host that a passdb named is not left for another one that has the name of the backend now', async () => {
  const byPassdb = (text: string): string =>
    text.replace('backend: mail1', 'passdb: /run/dovecot/auth-userdb');
  const auth = (): string => 'PASS|user=alice@example.org|host=127.0.0.1|proxy=y';
  const cases: readonly (readonly [settings: string, said: RegExp, commands: number])[] = [
    [byPassdb(hosted('127.0.0.2', '127.0.0.1')), /\n-TEMPFAIL\n$/, 0],
    [byPassdb(hosted('127.0.0.1', '127.0.0.3')), /\n\+\n$/, 1],
    // It is a route by name now.
    [hosted('127.0.0.2', '127.0.0.1'), /\n\+\n$/, 1],
  ];
  for (const [settings, said, commands] of cases) {
    const waits = await waiting(byPassdb(hosted('127.0.0.1', '127.0.0.2')), undefined, { auth });
    const next = replaceBackend(waits, settings);
    assert.match(await waits.go(), said);
    assert.equal(next.commands.length, commands);
  }
});

void test('several backends that are replaced: each is asked where it is now, once, and the rows of all are joined', async () => {
  const listed = (text: string): string => text.replace('who]', 'who, process status]');
  const all = (one: string, two: string): string =>
    `${listed(hosted(one, two)).replaceAll('shared_namespaces: []', 'series: "2.3", shared_namespaces: []')}server_commands: { process status: all }\n`;
  const engine = openMemoryEngine({ settings: all('127.0.0.1', '127.0.0.2') });
  const next = openMemoryEngine({ settings: all('127.0.0.1', '127.0.0.3') });
  for (const each of [engine, next]) each.setAnswer(() => replyPacket('imap\t1\t2\t3\t4\t5\t6\t\n+\n'));
  let isReloaded = false;
  const { context } = engine;
  const exchanges = () => (isReloaded ? next.exchanges : engine.exchanges);
  const client = await engine.client(0, { uid: undefined }, { context: { ...context, exchanges } });
  engine.dialler.setAnswer('hang');
  await client.line('||process status');
  assert.equal(engine.service.running().filter(({ isWaiting }) => isWaiting).length, 1);
  isReloaded = true;
  for (const { pool } of engine.exchanges.router.table.backends) pool.setDrained(true);
  await until(() => client.said().endsWith('\n'), 'the answer');
  assert.match(client.said(), /\n\+\n$/);
  const asked = next.commands.map(({ end: { address } }) => (address.kind === 'tcp' ? address.host : ''));
  const rows = client.said().match(/imap/g)?.length;
  assert.deepEqual([engine.commands.length, asked.toSorted(), rows], [0, ['127.0.0.1', '127.0.0.3'], 2]);
});

void test('it is sent there only if it is still allowed, and its user still lives there', async () => {
  const cases: readonly (readonly [settings: string, said: RegExp])[] = [
    [elsewhere.replace(allows, 'allow: [mailbox list'), /\n-NOPERM\n$/],
    [moved(elsewhere), /\n-TEMPFAIL\n$/],
  ];
  for (const [settings, said] of cases) {
    const waits = await waiting();
    const next = replaceBackend(waits, settings);
    assert.match(await waits.go(), said);
    assert.deepEqual([waits.engine.commands.length, next.commands.length], [2, 0]);
  }
});
