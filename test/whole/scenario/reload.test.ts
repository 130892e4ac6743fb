// Goal: reloads under load lose no command, leak nothing and never mix two configurations. Phases: clients that work without a pause;
// reloads between two policies, listeners that come and go, pools that change their size or are replaced; what is left afterwards; a
// command that waits for the only connection of a backend that a reload changes. What must not
// happen: a command that fails because of a reload, an admission whose rule is not of its policy's version, descriptors or memory that
// stay.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { foldIncidents } from '../../../src/evidence/story/incidents.js';
import { notUpBefore, takenOut } from '../../../src/journal/records/turns.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { auditRecords, backendPassword, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { createGate } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** The full figure is 200 (DOVEGATE_ROUNDS=25). */
const reloads = Math.min(200, 8 * rounds);
const workers = 4;

/** The rule that allows a command stands in another line, and under another policy version, in each of the two. */
const one = `
    users: ["*@example.org"]
    allow: [quota get]`;
const two = `
    users: ["*@example.org"]
    allow:
      - mailbox list
      - mailbox status
      - quota get
    limits: { rate: 900000/hour }`;
const more = 'limits: { drain: 5s }';
const listenersOf = (isOdd: boolean): string =>
  `\n  support: { unix: support.sock, mode: "06${isOdd ? '6' : '0'}0", policy: support, sessions_per_peer: 150 }${
    isOdd ? '\n  guest: { unix: guest.sock, policy: support }' : '\n'
  }`;

test(`${reloads} reloads under load`, { timeout: 120_000 + reloads * 6_000 }, async (t) => {
  const gateway = await openGateway(t, {
    policy: one,
    listeners: listenersOf(false),
    mail1: { connections: '4' },
    files: { 'mail1.next': 'the next password\n' },
    more,
  });
  const { daemon, client } = gateway;
  const state = { isOver: false };
  let commands = 0;
  const lost: string[] = [];
  const work = async (worker: RawClient): Promise<void> => {
    while (!state.isOver) {
      const { status } = await worker.ask({ user: 'alice@example.org', fields: ['quota get'] });
      commands += 1;
      if (status !== '+') lost.push(status);
      // Four of them have some twenty commands in each reload, and leave the machine time for it.
      await pause(50);
    }
  };
  const working: Promise<void>[] = [];
  for (let n = 0; n < workers; n += 1) working.push(work(await client()));

  const rss: number[] = [];
  let grown = (): number => 0;
  for (let n = 1; n <= reloads; n += 1) {
    const isOdd = n % 2 === 1;
    const policy = isOdd ? two : one;
    // Each third reload changes the files of the password, so it replaces the pool.
    const password_file = n % 6 < 3 ? 'mail1.password' : '[mail1.password, mail1.next]';
    const mail1 = { connections: String(4 + (n % 3)), password_file };
    await daemon.reload(gateway.configuration({ policy, listeners: listenersOf(isOdd), mail1 }));
    rss.push(rssOf(daemon.pid));
    if (n === 2) grown = countDescriptors(t, daemon.pid);
  }
  state.isOver = true;
  await Promise.all(working);
  assert.deepEqual(lost, []);
  // What the last clients and upstreams leave is closed within moments; a leak stays.
  let left = grown();
  for (let n = 0; n < 50 && left > 4; n += 1) {
    await pause(200);
    left = grown();
  }
  await daemon.stop();

  const records = auditRecords(daemon);
  const rulesByVersion = new Map<unknown, Set<unknown>>();
  let admissions = 0;
  let completions = 0;
  for (const record of records) {
    if (record['event'] === 'completion') completions += 1;
    if (record['event'] !== 'admission') continue;
    admissions += 1;
    const rules = rulesByVersion.get(record['version']) ?? new Set();
    rulesByVersion.set(record['version'], rules.add(record['rule']));
  }
  assert.equal(admissions, commands);
  assert.equal(completions, commands);
  assert.equal(records.filter(({ event }) => event === 'reload').length, reloads);
  const mixed = [...rulesByVersion].map(([version, rules]) => [String(version).slice(0, 8), [...rules]]);
  // A rule's line tells its file: of each version there is one, and the two differ.
  assert.deepEqual(
    mixed.map(([, rules]) => rules?.length),
    [...rulesByVersion.keys()].map(() => 1),
    JSON.stringify(mixed),
  );
  assert.equal(rulesByVersion.size, 2);
  assert.ok(left <= 4, `${left} more descriptors than at the second reload`);
  const half = rss.slice(Math.floor(rss.length / 2));
  const slope = half.length < 2 ? 0 : ((half.at(-1) ?? 0) - (half[0] ?? 0)) / (half.length - 1);
  t.diagnostic(
    `${commands} commands, 0 lost; ${left} more descriptors than at the second reload; RSS ${rss[0]} -> ${rss.at(-1)} KiB, ${Math.round(slope)} KiB a reload in the second half`,
  );
});

test('a backend that a reload changes: the command that runs ends, the one that waits gets its answer too', async (t) => {
  const gate = createGate();
  const gateway = await openGateway(t, {
    policy: one,
    mail1: { connections: '1' },
    files: { 'mail1.next': 'the next password\n' },
    backend: {
      async script(command, connection) {
        if (command.connection === 1) await gate.opened;
        await connection.row(`connection ${command.connection}`, 'STORAGE', '72', '10240', '0');
        await connection.status('+');
      },
    },
  });
  const { daemon, client, backend } = gateway;
  const quota = { user: 'alice@example.org', fields: ['quota get'] };
  const [running, waiting] = [await client(), await client()];
  running.sendCommand(quota);
  await backend.waitFor(({ commands }) => commands.length === 1, 'the command that runs');
  waiting.sendCommand(quota);
  const admissions = (): number => recordsOf(daemon, 'admission').length;
  await until(async () => admissions() === 2, 'the command that waits');
  const password_file = '[mail1.password, mail1.next]';
  await daemon.reload(gateway.configuration({ mail1: { connections: '1', password_file } }));
  const second = await waiting.readReply();
  assert.deepEqual([second.status, second.logs], ['+', []]);
  gate.open();
  assert.equal((await running.readReply()).status, '+');
  assert.deepEqual(
    backend.commands.map(({ connection }) => connection),
    [1, 2],
  );
  // The trail tells the two apart.
  await until(() => recordsOf(daemon, 'completion').length === 2, 'their records');
  const upstreams = recordsOf(daemon, 'completion').map(({ upstream }) => upstream);
  assert.deepEqual(upstreams, ['mail1-2', 'mail1-1']);
});

test('a backend that a reload takes out while it is down: its outage ends there', async (t) => {
  const gateway = await openGateway(t);
  const { daemon, client, backend } = gateway;
  await backend.close();
  const asking = await client();
  assert.equal((await asking.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '-TEMPFAIL');
  await daemon.reload(gateway.configuration({}).replaceAll(/mail1(?=:| })/g, 'mail2'));
  await daemon.stop();
  const records = recordsOf(daemon, 'backend').filter(({ action }) => action !== 'cost');
  assert.deepEqual(
    records.map(({ action, backend: name, reason }) => [action, name, reason]),
    [
      ['down', 'mail1', notUpBefore],
      ['stop', 'mail1', takenOut],
    ],
  );
  const [outage] = foldIncidents(records.map((record) => ({ record })));
  assert.equal(outage?.until, records[1]?.['time']);
  assert.match(
    outage?.text ?? '',
    /^mail1 was down.*1 command.* It ended when a reload took it out of the configuration\.$/,
  );
  assert.equal(daemon.logs.filter(({ event }) => event === 'backend-removed').length, 1);
});

test('a backend that moves to another machine: one user is never served on both at once, others are served there at once', async (t) => {
  const gate = createGate();
  const authority = makeAuthority({ name: 'scenario authority' });
  const gateway = await openGateway(t, {
    policy: one,
    authority,
    mail1: { connections: '1' },
    backend: {
      async script(_command, connection) {
        await gate.opened;
        await connection.row('before', 'STORAGE', '72', '10240', '0');
        await connection.status('+');
      },
    },
  });
  const { daemon, client, backend } = gateway;
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const next = await openScriptedDovecot({
    tls: 'starttls',
    certificate,
    password: backendPassword,
    async script(_command, connection) {
      await connection.row('after', 'STORAGE', '72', '10240', '0');
      await connection.status('+');
    },
  });
  t.after(() => next.close());
  const quota = (user: string) => ({ user: `${user}@example.org`, fields: ['quota get'] });
  const [running, same, other] = [await client(), await client(), await client()];
  running.sendCommand(quota('alice'));
  await backend.waitFor(({ commands }) => commands.length === 1, 'the command that runs');
  same.sendCommand(quota('alice'));
  other.sendCommand(quota('bob'));
  await until(() => recordsOf(daemon, 'admission').length === 3, 'the commands that wait');
  // Each of these replaces the pool: to the other machine, and twice to another account there.
  const moves = [{}, { username: 'doveadm2' }, { username: 'doveadm' }];
  for (const account of moves) {
    const mail1 = { connections: '1', address: next.address, ...account };
    await daemon.reload(gateway.configuration({ mail1 }));
  }
  assert.deepEqual((await other.readReply()).status, '+');
  assert.deepEqual(
    next.commands.map(({ user }) => user),
    ['bob@example.org'],
  );
  gate.open();
  assert.equal((await running.readReply()).status, '+');
  const last = await same.readReply();
  assert.deepEqual([last.status, String(last.cells[0])], ['+', 'after']);
  assert.deepEqual([backend.commands.length, next.commands.length], [1, 2]);
});

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
