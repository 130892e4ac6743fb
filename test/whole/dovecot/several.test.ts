// Goal: several real Dovecots behind one daemon. Phases: users by pattern, by spread, by what a real passdb says; commands that name no
// user over all of them; one is stopped in the middle of everything and started again; a real referral, where the release has them.
// What must not happen: a command at a Dovecot that is not its user's, an answer of a part that looks whole, somebody else who suffers.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import type { Lab, Release } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import { openTcpCounter } from '../../kit/plain/tcp-counter.js';
import { until } from '../../kit/plain/until.js';
import {
  alice,
  backendPassword,
  bob,
  onDovecot,
  openRealDovecot,
  passwordSetting,
  userdbListener,
  victim,
} from './real-gateway.js';

/** Whom only the passdb of the first knows to be on the third. */
const pat = 'pat@example.org';
/** Whom the first refers to the second. */
const away = 'away@example.org';
const numbers = [1, 2, 3] as const;

/** Three instances with the same users; which one answered shows a mailbox with its number. */
async function openThree(owner: Owner, release: Release) {
  const labs: Lab[] = [];
  for (const number of numbers) {
    const lab = await openRealDovecot(owner, release);
    if ('skip' in lab) return lab;
    await lab.addUsers([
      `${pat}:{plain}pw::::::${number === 1 ? 'proxy=y host=127.0.0.3' : ''}`,
      `${away}:{plain}pw::::::${number === 1 ? 'nologin=y host=127.0.0.2' : ''}`,
    ]);
    for (const user of [alice, bob, victim, 'small@example.org', pat, away]) {
      await ends(0, lab.doveadm(['mailbox', 'create', '-u', user, `Here${number}`]));
    }
    const port = lab.series === '2.4' && number === 1 ? 'doveadm_port = 1\n' : '';
    await lab.writeExtraConf(passwordSetting + port + userdbListener);
    labs.push(lab);
  }
  return { version: labs[0]?.version ?? '', labs };
}

interface Gate {
  readonly daemon: Daemon;
  client(): Promise<RawClient>;
  ask(user: string, ...fields: string[]): Promise<RawReply>;
}

async function openGate(owner: Owner, labs: readonly Lab[]): Promise<Gate> {
  const [first] = labs;
  assert.ok(first);
  const backends: string[] = [];
  for (const [index, lab] of labs.entries()) {
    // Each has an address of its own, as machines do: a passdb names addresses, not ports.
    const forward = await openTcpCounter({ port: lab.port, listen: `127.0.0.${index + 1}` });
    owner.after(() => forward.close());
    backends.push(`  mail${index + 1}:
    address: 127.0.0.${index + 1}:${forward.port}
    server_name: localhost
    tls: starttls
    ca: ca${index + 1}.pem
    password_file: password
    shared_namespaces: []`);
  }
  const daemon = await startDaemon(owner, {
    folder: mkdtempSync(join(first.folder, 'gate-')),
    config: `version: 1
listeners: { support: { unix: support.sock, policy: support } }
backends:
${backends.join('\n')}
routes:
  - { users: ["${alice}", "${away}"], backend: mail1 }
  - { users: ["${pat}"], passdb: ${join(first.folder, 'run', 'dovegate-userdb')}, cache_ttl: 1s }
  - { users: ["*"], spread: [mail2, mail3] }
policies:
  support:
    users: ["*"]
    allow: [mailbox list, { command: who, masks: true }, service status, mailbox create]
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
`,
    files: {
      password: `${backendPassword}\n`,
      ...Object.fromEntries(labs.map(({ caFile }, at) => [`ca${at + 1}.pem`, readFileSync(caFile, 'utf8')])),
    },
  });
  const path = daemon.path('support.sock');
  const client = (): Promise<RawClient> => openRawClient({ path, minor: 2, timeoutMs: 60_000, owner });
  const shared = await client();
  return { daemon, client, ask: (user, ...fields) => shared.ask({ user, fields }) };
}

/** The numbers of the instances whose mailbox the reply lists. */
function placesIn(reply: RawReply): string {
  return [...reply.body.toString().matchAll(/Here(\d)/g)].map(([, number]) => number).join('');
}

/** The names of services in a reply, each a row of 13 cells. */
function servicesIn(reply: RawReply): readonly string[] {
  const cells = reply.body.toString().split('\t').slice(0, -1);
  assert.equal(cells.length % 13, 0, 'rows of 13 cells');
  return cells.filter((_, at) => at % 13 === 0);
}

onDovecot('routes, joined replies, one of three gone for a while', openThree, async (t, { labs }) => {
  const gate = await openGate(t, labs);
  const [lab1, lab2] = labs;
  assert.ok(lab1 && lab2);

  // Every user at his own place: by pattern, by spread, by what the passdb says.
  assert.equal(placesIn(await gate.ask(alice, 'mailbox list')), '1');
  assert.equal(placesIn(await gate.ask(pat, 'mailbox list')), '3');
  const spread = new Map<string, string>();
  for (const user of [bob, victim, 'small@example.org']) {
    const place = placesIn(await gate.ask(user, 'mailbox list'));
    assert.match(place, /^[23]$/);
    assert.equal(placesIn(await gate.ask(user, 'mailbox list')), place);
    spread.set(user, place);
  }
  t.diagnostic(`spread: ${[...spread].map(([user, place]) => `${user} on mail${place}`).join(', ')}`);

  // Rows of all three, whole, and one status.
  const services = await gate.ask('', 'service status');
  assert.equal(services.status, '+');
  assert.equal(servicesIn(services).filter((name) => name === 'doveadm').length, 3);
  assert.equal((await gate.ask('', 'who')).status, '+');

  // One of them is stopped while commands run on all.
  const onSecond = [...spread].find(([, place]) => place === '2')?.[0];
  const users = [alice, pat, ...spread.keys()];
  const failed = new Map<string, number>();
  let rounds = 0;
  const load: { phase: 'all' | 'stopped' | 'over' } = { phase: 'all' };
  const working = users.map(async (user) => {
    const client = await gate.client();
    while (load.phase !== 'over') {
      const begun = load.phase;
      const startMs = performance.now();
      const reply = await client.ask({ user, fields: ['mailbox list'] });
      rounds += 1;
      if (reply.status === '+') {
        assert.match(placesIn(reply), /^\d$/);
        assert.ok(begun !== 'stopped' || user !== onSecond, 'a stopped Dovecot answered');
      } else {
        assert.equal(reply.status, '-TEMPFAIL');
        assert.equal(spread.get(user), '2', `${user} suffers for others`);
        assert.ok(performance.now() - startMs < 30_000, 'a user of the stopped one waited too long');
        failed.set(user, (failed.get(user) ?? 0) + 1);
        await pause(50);
      }
      await pause(10);
    }
    client.close();
  });
  await pause(500);
  await lab2.stop();
  await pause(300);
  load.phase = 'stopped';
  const isNoticed = (): boolean => onSecond === undefined || (failed.get(onSecond) ?? 0) > 0;
  await until(isNoticed, 'somebody who notices the stop', 60_000);
  await pause(500);
  const partly = await gate.ask('', 'service status');
  assert.equal(partly.status, '-TEMPFAIL');
  assert.equal(servicesIn(partly).filter((name) => name === 'doveadm').length, 2);
  const said = partly.logs.map(({ text }) => text).join('\n');
  assert.match(said, /mail1 answered; mail2: .*; mail3 answered/);
  load.phase = 'all';
  await lab2.start();
  const isBack = async (): Promise<boolean> =>
    onSecond === undefined || (await gate.ask(onSecond, 'mailbox list')).status === '+';
  await until(isBack, 'that it comes back by itself', 120_000);
  const refused = [...failed.values()].reduce((sum, each) => sum + each, 0);
  t.diagnostic(`${rounds} commands; refused while one was stopped: ${refused}`);
  load.phase = 'over';
  await Promise.all(working);

  await t.test('a referral', async () => {
    const reply = await gate.ask(away, 'mailbox list');
    // 2.3 has no referrals: it runs the command itself.
    assert.equal(reply.status, '+');
    assert.equal(placesIn(reply), lab1.series === '2.4' ? '2' : '1');
    const created = await gate.ask(away, 'mailbox create', 'New');
    assert.equal(created.status, '+');
  });

  assert.deepEqual(await gate.daemon.stop(), { code: 0, signal: null });
});
