// Everything that a run consists of: two instances of a real Dovecot with users and mails, a relay before each, a store in a folder, the
// gate on a disk and a clock of its own, the process that ships its records, the verifier of the fleet, the
// page with watchers.
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import { addMemory, type Owner, openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { runTool } from '../../kit/plain/small-disk.js';
import { largeBox, largeBytes, largeOwners, secretWords, stableMails } from './commands.js';
import type { Evidence } from './evidence.js';
import { boss, makeVersion, type PolicyVersion, users } from './policy.js';
import { type Keeper, makeKeeper } from './processes.js';
import { openRelay, type Relay } from './relay.js';
import type { Places } from './traffic.js';

export interface World {
  readonly folder: string;
  readonly labs: readonly Lab[];
  readonly relays: readonly Relay[];
  /** A folder, which may go away. */
  readonly store: string;
  readonly gate: Keeper;
  readonly page: Keeper;
  readonly ship: Keeper;
  readonly watch: Keeper;
  readonly places: Places;
  readonly pagePort: number;
  readonly pagePassword: string;
  /** Where the gate's journal is: a file system of its own. */
  readonly disk: string;
  readonly journal: string;
  /** File whose text the gate's clock follows: `+SECONDS`. */
  readonly clock: string;
  readonly secrets: readonly string[];
  /** All that were written, by name. */
  readonly versions: ReadonlyMap<string, PolicyVersion>;
  /** Those that may be in force now. */
  inForce(): readonly PolicyVersion[];
  /** A new version of the policy, asked for by SIGHUP. */
  reload(): Promise<void>;
  /** A configuration with a problem; then the good one is put back. */
  reloadBroken(): Promise<void>;
  /** A new certificate of the listeners; and a second key of the panel, which clients use from then on. */
  changeCertificate(): Promise<void>;
  /** The gate serves, as it says. */
  isReady(): Promise<boolean>;
  metrics(): Promise<string>;
  /** After a start of the gate, or at the beginning: the newest version is in force. */
  settlePolicy(): void;
  dovegate(args: readonly string[]): Promise<{ exit: number; text: string }>;
  readonly fleetConfig: string;
}

/** Of each backend in the configuration. */
export const connections = 6;

const fakeTime = ['/usr/lib/x86_64-linux-gnu/faketime', '/usr/lib/aarch64-linux-gnu/faketime'].map((folder) =>
  join(folder, 'libfaketimeMT.so.1'),
);

/** `hasOwnClock`: the gate's clock can be stepped; costs it some microseconds for each look at the clock. */
export async function openWorld(
  owner: Owner,
  evidence: Evidence,
  { seed, hasOwnClock }: { readonly seed: number; readonly hasOwnClock: boolean },
): Promise<World> {
  const library = fakeTime.find((path) => existsSync(path));
  if (hasOwnClock && library === undefined) throw new Error('libfaketime is not installed');
  const random = seededRandom(seed);
  const folder = openFolder(owner);
  addMemory(folder);
  const path = (name: string): string => join(folder, name);
  const disk = path('disk');
  mkdirSync(disk);
  if (!runTool('truncate', '-s', '6G', path('image')) || !runTool('mkfs.ext4', '-q', path('image')))
    throw new Error('no file system can be made');
  if (!runTool('mount', '-o', 'loop', path('image'), disk)) throw new Error('no file system can be mounted');
  owner.after(() => {
    runTool('fsfreeze', '-u', disk);
    runTool('umount', '-l', disk);
  });

  const backendPassword = 'Chaos+backend/5d81';
  const labs: Lab[] = [];
  for (const letter of ['a', 'b']) {
    const lab = await openLab(owner, 'native', { users: false });
    if ('skip' in lab) throw new Error(lab.skip);
    await lab.writeExtraConf(extraConf(lab, backendPassword));
    await fillLab(lab, letter);
    labs.push(lab);
  }
  const ports = await freePorts(6);
  const [mail1Port = 0, mail2Port = 0, jobsPort = 0, panelPort = 0, pagePort = 0, adminPort = 0] = ports;
  const relays = [
    await openRelay(evidence, 'mail1', mail1Port, labs[0]?.unixAuth ?? ''),
    await openRelay(evidence, 'mail2', mail2Port, labs[1]?.unixAuth ?? ''),
  ];
  owner.after(async () => {
    for (const relay of relays) await relay.close();
  });
  const host = 'gate1';
  const store = path('store');
  mkdirSync(store);

  const authority = makeAuthority({ name: 'chaos authority' });
  const accountPassword = `Account-${randomBytes(9).toString('hex')}`;
  const pagePassword = `Page-${randomBytes(9).toString('hex')}`;
  const accountHash = await hashPassword(Buffer.from(accountPassword), 10);
  const pageHash = await hashPassword(Buffer.from(pagePassword), 10);
  const panelKeys = [makeKey(randomBytes(keyBytes))];
  /** What clients use: the newest key that the gate has read. */
  let shownKey = panelKeys[0] ?? '';

  const write = (name: string, text: string): void => writeFileSync(path(name), text, { mode: 0o600 });
  write('mail.password', `${backendPassword}\n`);
  const issue = (): void => {
    const issued = authority.issue({ names: ['localhost', '127.0.0.1'] });
    write('gate.crt', issued.certificatePem);
    write('gate.key', issued.keyPem);
  };
  issue();
  const clock = path('clock');
  writeFileSync(clock, '+0\n');

  const versions = new Map<string, PolicyVersion>();
  const addVersion = (): PolicyVersion => {
    const version = makeVersion(versions.size + 1, random);
    versions.set(version.name, version);
    return version;
  };
  let current = addVersion();
  let inForce: PolicyVersion[] = [current];
  const backend = (port: number): string => `{
    address: "127.0.0.1:${port}", tls: "off", password_file: mail.password,
    shared_namespaces: [], connections: ${connections}, connect_timeout: 3s, greeting_timeout: 3s }`;
  const configOf = (version: PolicyVersion): string => `version: 1
listeners:
  read: { unix: read.sock, mode: "0600", policy: read }
  write: { unix: write.sock, mode: "0600", policy: write }
  jobs:
    tcp: "127.0.0.1:${jobsPort}"
    tls: { mode: starttls, certificate: gate.crt, key: gate.key }
    accounts: { backup: { password_hash: "${accountHash}", policy: jobs } }
  panel:
    tcp: "127.0.0.1:${panelPort}"
    protocol: http
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    keys: { panel: { hash: [${panelKeys
      .slice(-2)
      .map((key) => `{ hash: "${hashKey(key)}" }`)
      .join(', ')}], policy: panel, expires: 2199-01-01 } }
backends:
  mail1: ${backend(mail1Port)}
  mail2: ${backend(mail2Port)}
routes:
  - { users: ["a*@example.org"], backend: mail1 }
  - { users: ["*"], backend: mail2 }
policies:
${version.yaml}
state: disk/state
limits: { reply_idle: 60s, queue_timeout: 20s, client_stall: 20s, input_time: 60s, drain: 15s }
audit:
  door: ship.sock
  directory: disk/audit
  memory: shm/audit.ring
  memory_size: 4MiB
  segment: 8MiB
  reserve: 1MiB
  checkpoint_interval: 5s
  ship:
    - { store: "file://${store}", host: ${host}, objects_per_day: 8640 }
admin:
  unix: admin.sock
  tcp: "127.0.0.1:${adminPort}"
  door: door.sock
  page:
    tcp: "127.0.0.1:${pagePort}"
    unix: page.sock
    people: { oncall: { password_hash: "${pageHash}", roles: [operate, audit] } }
`;
  write('dovegate.yaml', configOf(current));

  const admin = { socketPath: path('admin.sock') };
  const isReady = async (): Promise<boolean> => (await askHttp(admin, '/readyz')).status === 200;
  const environment: Readonly<Record<string, string>> = {
    LD_PRELOAD: library ?? '',
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const node = (...args: readonly string[]): readonly string[] => [process.execPath, builtProgram, ...args];
  const config = path('dovegate.yaml');
  const gate = makeKeeper({
    name: 'gate',
    // A write above RLIMIT_FSIZE fails, as on a broken disk, and does not end the process.
    command: ['env', '--ignore-signal=XFSZ', ...node('serve', '--config', config)],
    ...(hasOwnClock && { env: environment }),
    cwd: folder,
    log: evidence.path('gate.log'),
    isReady,
  });
  const page = makeKeeper({
    name: 'page',
    command: node('page', '--config', config),
    cwd: folder,
    log: evidence.path('page.log'),
    isReady: async () => (await askHttp({ host: '127.0.0.1', port: pagePort }, '/')).status < 500,
  });

  const ship = makeKeeper({
    name: 'ship',
    command: node('ship', '--config', config, '--state', 'ship-state'),
    cwd: folder,
    log: evidence.path('ship.log'),
    isReady: async () => JSON.parse((await askHttp(admin, '/status.json')).body).ship?.connected === true,
  });

  const fleetConfig = path('fleet.yaml');
  const dovegate = async (args: readonly string[]): Promise<{ exit: number; text: string }> => {
    const { exit, text } = await runProgram(process.execPath, [builtProgram, ...args], {
      cwd: folder,
      timeoutMs: 600_000,
    });
    return { exit, text };
  };
  await gate.start();
  const verifier = path('verifier');
  const fleet = {
    store: `file://${store}`,
    hosts: { [host]: { key: path('disk/audit/key.pub'), silent_after: '5m' } },
    state: verifier,
    metrics: 'off',
  };
  write('fleet.yaml', JSON.stringify(fleet));
  const watch = makeKeeper({
    name: 'watch',
    command: node('audit', 'fleet', 'watch', '--config', fleetConfig),
    cwd: folder,
    log: evidence.path('watch.log'),
    isReady: async () => existsSync(verifier),
  });
  await watch.start();
  await ship.start();
  await page.start();

  const policyLine = (from: number, until: number | undefined, version: string, broken = false): void =>
    evidence.write('policy', {
      version,
      from,
      ...(until !== undefined && { until }),
      ...(broken && { broken: true }),
    });
  /** How a reload ended; `killed`: the gate ended within it. */
  const hup = async (): Promise<'reloaded' | 'failed' | 'killed'> => {
    const since = Date.now();
    const pid = gate.pid;
    const before = [gate.told('reloaded'), gate.told('reload-failed')] as const;
    gate.signal('SIGHUP');
    while (Date.now() - since < 60_000) {
      await pause(20);
      if (gate.pid !== pid) return 'killed';
      if (gate.told('reloaded') > before[0]) return 'reloaded';
      if (gate.told('reload-failed') > before[1]) return 'failed';
    }
    throw new Error('the gate said nothing of a reload within 60 s');
  };
  /** Of the file as it is now, which the gate was asked to read at `from`. */
  const afterReload = (from: number, how: Awaited<ReturnType<typeof hup>>, before: PolicyVersion): void => {
    policyLine(from, how === 'killed' ? undefined : Date.now(), current.name, how === 'failed');
    if (how === 'reloaded') inForce = [current];
    if (how === 'failed') inForce = [before];
  };
  return {
    folder,
    labs,
    relays,
    store,
    gate,
    page,
    ship,
    watch,
    pagePort,
    pagePassword,
    disk,
    journal: path('disk/audit'),
    clock,
    get secrets() {
      return [accountPassword, pagePassword, backendPassword, ...panelKeys, ...secretWords];
    },
    versions,
    fleetConfig,
    dovegate,
    isReady,
    places: {
      read: path('read.sock'),
      write: path('write.sock'),
      jobsPort,
      panelPort,
      ca: authority.certificatePem,
      accountPassword,
      panelKey: () => shownKey,
      folder,
    },
    metrics: async () => (await askHttp(admin, '/metrics')).body,
    inForce: () => inForce,
    settlePolicy() {
      inForce = [current];
      policyLine(Date.now(), Date.now(), current.name);
    },
    async reload() {
      const before = inForce.at(-1) ?? current;
      current = addVersion();
      const from = Date.now();
      inForce = [...new Set([...inForce, current])];
      write('dovegate.yaml', configOf(current));
      afterReload(from, await hup(), before);
    },
    async reloadBroken() {
      const from = Date.now();
      write(
        'dovegate.yaml',
        configOf(current).replaceAll('allow: [', 'allow: [mailbox delete, no such command, '),
      );
      await hup();
      write('dovegate.yaml', configOf(current));
      policyLine(from, Date.now(), current.name, true);
    },
    async changeCertificate() {
      issue();
      panelKeys.push(makeKey(randomBytes(keyBytes)));
      write('dovegate.yaml', configOf(current));
      // It reads the newest policy too, which an earlier reload may have failed to.
      const before = inForce.at(-1) ?? current;
      const from = Date.now();
      inForce = [...new Set([...inForce, current])];
      const how = await hup();
      afterReload(from, how, before);
      if (how === 'reloaded') shownKey = panelKeys.at(-1) ?? '';
    },
  };
}

/** Users, and mails of different sizes that stay as they are. */
async function fillLab(lab: Lab, letter: string): Promise<void> {
  const own = users.filter((user) => user.startsWith(letter));
  const all = letter === 'b' ? [...own, boss] : own;
  appendFileSync(join(lab.folder, 'passwd'), all.map((user) => `${user}:{plain}pw::::::\n`).join(''));
  const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  const ask = async (user: string, fields: readonly string[], input?: string): Promise<void> => {
    client.sendCommand({ user, fields });
    if (input !== undefined) await client.write(`${input}\r\n.\r\n`);
    const { status, logs } = await client.readReply();
    if (status !== '+') throw new Error(`${fields.join(' ')}: ${status} ${JSON.stringify(logs)}`);
  };
  for (const user of all) {
    await ask(user, ['mailbox create', 'Stable', 'Chaos']);
    for (let number = 1; number <= stableMails; number += 1) {
      const size = [3, 20, 100, 5, 1_000, 40, 10, 300][number - 1] ?? 1;
      const lines = Array.from({ length: size }, (_, at) => `${user} ${number} line ${at} é\ttab`);
      const head = [`From: x@example.net`, `To: ${user}`, `Subject: mail ${number} of ${user}`, ''];
      await ask(user, ['save', '-m', 'Stable'], [...head, ...lines].join('\r\n'));
    }
    if (!largeOwners.includes(user)) continue;
    await ask(user, ['mailbox create', largeBox]);
    const line = `${'large '.repeat(12)}\r\n`;
    await ask(
      user,
      ['save', '-m', largeBox],
      `Subject: large\r\n\r\n${line.repeat(largeBytes / line.length)}`,
    );
  }
  client.close();
}

function extraConf(lab: Lab, password: string): string {
  const common = `doveadm_password = ${password}\nservice doveadm {\n  process_limit = 20\n}\n`;
  return lab.series === '2.4'
    ? `${common}quota_storage_size = 4G\n`
    : `${common}plugin {\n  quota_rule = *:storage=4G\n}\n`;
}
