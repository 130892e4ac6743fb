// Goal: after a quick restart of Dovecot, whose processes of before live on for 30 s and answer with the settings of before, a command
// that begins when the new one has answered runs under the new settings: over a UNIX socket always, over TCP where it changes something.
// Phases of each restart: clients at work and silent ones, each with a backend of its own; `doveadm stop`, other settings, `dovecot`;
// the clients go on until each has read and changed something.
// What must not happen: a mail at the location of before, a limit of before. Reads over TCP may be 30 s behind, and are only counted.
// DOVEGATE_ROUNDS=50 makes the 200 restarts of the published figure, together with TMPDIR in memory and on a disk, and both series.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../../kit/gate/daemon.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openFolder } from '../../kit/plain/folder.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { backendPassword, labTestMs, onDovecot, openBareDovecot, passwordSetting } from './real-gateway.js';
import { masterOf, serversOf } from './server-processes.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const ways = ['unix', 'starttls'] as const;
const kinds = ['each second', '20 a second', 'spanning', 'silent'] as const;
type Way = (typeof ways)[number];
type Kind = (typeof kinds)[number];
const silentMs = 10_000;
/** Longer than a command may wait for its turn at the gate. */
const timeoutMs = 120_000;

interface Begun {
  readonly way: Way;
  readonly kind: Kind;
  readonly what: 'read' | 'change';
  readonly beganMs: number;
  /** The restart whose settings it ran under; undefined: it failed. */
  readonly settings: number | undefined;
}

onDovecot(
  'restarted quickly',
  openBareDovecot,
  async (t, lab) => {
    const users = ways.flatMap((way) => kinds.map((kind) => userOf(way, kind)));
    await lab.addUsers(users.map((name) => `${name}:{plain}pw::::::`));
    await lab.writeExtraConf(settingsOf(lab.series, 0));
    const clients = await openClients(t, lab);
    const sums = { restarts: 0, alive: 0, begun: 0, failed: 0, lastFailedMs: 0 };
    const old: Record<string, number> = {};
    const awayMs: number[] = [];
    for (let restart = 1; sums.alive < rounds && restart <= 2 * rounds + 2; restart += 1) {
      const done = await restartOnce(lab, clients, restart);
      sums.restarts += 1;
      awayMs.push(Math.round(done.awayMs));
      // On a slow machine their 30 s may be over.
      if (!done.wasOldAlive) continue;
      sums.alive += 1;
      for (const { way, kind, what, settings, beganMs } of done.begun) {
        sums.begun += 1;
        if (settings === undefined) {
          sums.failed += 1;
          sums.lastFailedMs = Math.max(sums.lastFailedMs, Math.round(beganMs - done.newMs));
        } else if (settings !== restart)
          old[`${way} ${what} ${kind}`] = (old[`${way} ${what} ${kind}`] ?? 0) + 1;
      }
    }
    t.diagnostic(`${JSON.stringify(sums)}, away up to ${Math.max(...awayMs)} ms, old ${JSON.stringify(old)}`);
    assert.deepEqual(
      Object.keys(old).filter((name) => !name.startsWith('starttls read')),
      [],
    );
  },
  labTestMs + rounds * 60_000,
);

function userOf(way: Way, kind: Kind): string {
  return `${way}${kinds.indexOf(kind)}@example.org`;
}

/** The limit is a number of MiB that shows which settings a command ran under, as the folder of the mails does. */
function settingsOf(series: Lab['series'], restart: number): string {
  const own =
    series === '2.3'
      ? `mail_location = maildir:~/Maildir-${restart}\nplugin {\n  quota_rule = *:storage=${restart + 10}M\n}\n`
      : `mail_path = ~/Maildir-${restart}\nquota_storage_size = ${restart + 10}M\n`;
  return passwordSetting + own;
}

/** A gate with a backend for each client, and their sessions. */
async function openClients(t: TestContext, lab: Lab): Promise<readonly Client[]> {
  const places = {
    unix: `address: unix:${lab.unixAuth}\n    tls: off`,
    starttls: `address: localhost:${lab.port}\n    tls: starttls\n    ca: ca.pem`,
  };
  const all = ways.flatMap((way) => kinds.map((kind) => ({ way, kind, user: userOf(way, kind) })));
  const backendOf = (user: string): string => user.split('@', 1).join('');
  const backends = all.map(
    ({ way, user }) => `  ${backendOf(user)}:
    ${places[way]}
    password_file: password
    shared_namespaces: []`,
  );
  const routes = all.map(({ user }) => `  - { users: ["${user}"], backend: ${backendOf(user)} }`);
  const daemon = await startDaemon(t, {
    folder: openFolder(t),
    config: `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
backends:
${backends.join('\n')}
routes:
${routes.join('\n')}
policies:
  support: { users: ["*@example.org"], allow: [quota get, save] }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
`,
    files: { 'ca.pem': readFileSync(lab.caFile, 'utf8'), password: `${backendPassword}\n` },
  });
  const path = daemon.path('support.sock');
  return Promise.all(
    all.map(async ({ way, kind, user }) => {
      const session = await openRawClient({ owner: t, path, minor: 2, timeoutMs });
      return new Client(lab, way, kind, user, session);
    }),
  );
}

class Client {
  readonly way: Way;
  readonly kind: Kind;
  readonly #lab: Lab;
  readonly #user: string;
  readonly #session: RawClient;
  #saves = 0;

  constructor(lab: Lab, way: Way, kind: Kind, user: string, session: RawClient) {
    this.#lab = lab;
    this.way = way;
    this.kind = kind;
    this.#user = user;
    this.#session = session;
  }

  async read(): Promise<Begun> {
    const beganMs = performance.now();
    const settings = await limitAt(this.#session, this.#user);
    return { way: this.way, kind: this.kind, what: 'read', beganMs, settings };
  }

  async change(rest?: Promise<unknown>): Promise<Begun> {
    const beganMs = performance.now();
    const { way, kind } = this;
    this.#saves += 1;
    const subject = `${way} ${kind} ${this.#saves}`;
    this.#session.sendCommand({ user: this.#user, fields: ['save'] });
    await this.#session.write(`Subject: ${subject}\n\n`);
    await rest;
    await this.#session.write('text\n.\n');
    const { status } = await this.#session.readReply();
    const settings = status === '+' ? this.#folderOf(subject) : undefined;
    return { way, kind, what: 'change', beganMs, settings };
  }

  /** Of the settings in whose folder the mail lies. */
  #folderOf(subject: string): number {
    const home = join(this.#lab.folder, 'mail', this.#user);
    for (const folder of readdirSync(home)) {
      const restart = Number(/^Maildir-(\d+)$/.exec(folder)?.[1] ?? Number.NaN);
      for (const part of ['new', 'cur']) {
        const place = join(home, folder, part);
        const names = Number.isNaN(restart) || !existsSync(place) ? [] : readdirSync(place);
        if (names.some((name) => readFileSync(join(place, name), 'utf8').includes(`Subject: ${subject}\n`)))
          return restart;
      }
    }
    throw new Error(`there is no mail of the subject ${subject}`);
  }
}

/** What `quota get` says of the settings; undefined: nothing. */
async function limitAt(session: RawClient, user: string): Promise<number | undefined> {
  const { status, cells } = await session.ask({ user, fields: ['quota get'] });
  const limit = cells[cells.indexOf('STORAGE') + 2];
  return status === '+' ? Number(limit) / 1024 - 10 : undefined;
}

interface Restarted {
  readonly wasOldAlive: boolean;
  readonly awayMs: number;
  /** When the new one had answered. */
  readonly newMs: number;
  /** Commands that began when the new Dovecot had answered. */
  readonly begun: readonly Begun[];
}

async function restartOnce(lab: Lab, clients: readonly Client[], restart: number): Promise<Restarted> {
  const began: Begun[] = [];
  /** When the new Dovecot had answered. */
  let newMs = Number.POSITIVE_INFINITY;
  let isNew: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    isNew = resolve;
  });
  const isDone = ({ way, kind }: Client): boolean => {
    const done = began.filter((one) => one.way === way && one.kind === kind && one.beganMs > newMs);
    return ['read', 'change'].every((what) =>
      done.some((one) => one.what === what && one.settings !== undefined),
    );
  };
  const work = async (client: Client): Promise<void> => {
    const { kind } = client;
    const everyMs = kind === 'each second' ? 1_000 : 50;
    if (kind === 'spanning') began.push(await client.change(answered));
    if (kind === 'silent') {
      began.push(await client.read());
      await answered;
    }
    // A process of before ends after one command, so the silent ones begin with the one or the other.
    if (kind === 'silent' && restart % 2 === 0) began.push(await client.read());
    while (!isDone(client)) {
      began.push(await client.change());
      began.push(await client.read());
      await pause(everyMs);
    }
  };
  const working = clients.map(work);
  const areAtWork = (): boolean =>
    clients.every(({ kind }) => kind === 'spanning' || began.some((one) => one.kind === kind));
  await until(areAtWork, 'work');
  await pause(restart % 4 === 1 ? silentMs : 500);
  const before = serversOf(lab);
  const master = masterOf(lab);
  const stopMs = performance.now();
  await lab.doveadm(['stop']);
  await until(() => !existsSync(`/proc/${master}`), 'the end of the master');
  writeFileSync(join(lab.folder, 'extra.conf'), settingsOf(lab.series, restart));
  await lab.start();
  const awayMs = performance.now() - stopMs;
  const direct = await openRawClient({ path: lab.unixPreauth, minor: 2, timeoutMs });
  const isItNew = async (): Promise<boolean> => (await limitAt(direct, userOf('unix', 'silent'))) === restart;
  await until(isItNew, 'an answer of the new one');
  newMs = performance.now();
  const wasOldAlive = before.some((pid) => existsSync(`/proc/${pid}`));
  isNew();
  direct.close();
  await Promise.all(working);
  return { wasOldAlive, awayMs, newMs, begun: began.filter(({ beganMs }) => beganMs > newMs) };
}
