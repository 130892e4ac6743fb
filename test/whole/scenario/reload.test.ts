// Goal: reloads under load lose no command, leak nothing and never mix two configurations. Phases: clients that work without a pause;
// reloads between two policies, listeners that come and go, pools that change their size or are replaced; what is left afterwards. What a
// reload changes for a command that waits is tested in test/gate/command/recheck. What must not happen: a command that fails because of a
// reload, an admission whose rule is not of its policy's version, descriptors or memory that stay.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { foldIncidents } from '../../../src/evidence/story/incidents.js';
import { notUpBefore, takenOut } from '../../../src/journal/records/turns.js';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import type { RawClient } from '../../kit/plain/raw-client.js';

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

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
