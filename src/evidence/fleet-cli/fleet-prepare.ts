// `dovegate audit fleet prepare`, `issue` and `remove`: the files of a new fleet, and later who joins it, gets another key, or leaves.
// `prepare` overwrites nothing, secrets are 0600 and never printed, and files for an administrator only are in one folder, which can
// be taken away.
//
//   fleet.yaml                                   the verifier's settings
//   fleet/ca.pem, verifier.creds, keys/
//   fleet/admin/ca.key, server.*, server.sh, trust.json, administrator.creds, system.creds, accounts/, HOST.join

import { rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { gidsOf, ourselves, uidOf } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { readText, writeAtomically } from '../../host/machine/files.js';
import { modeOf, NewFiles, NewFilesFault, type Owner } from '../../host/machine/new-files.js';
import { CommandFault, plain } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatWords } from '../../host/words/text.js';
import { isHostWord, verifierName } from '../../rules/config/fleet-names.js';
import { formatProblem } from '../../rules/config/problem.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import { administratorName, gateSubjectsOf } from '../fleet/block.js';
import { type FleetFiles, type FleetSettings, parseFleetSettings } from '../fleet/parse-fleet.js';
import { NatsFault } from '../nats/fault.js';
import {
  accountFileOf,
  accountsIn,
  pushAccounts,
  readAccount,
  readAccounts,
  readTrust,
  trustName,
} from './administration.js';
import { issueCertificate, type KeyPair, makeFleetAuthority } from './fleet-authority.js';
import { makeHostStream } from './fleet-init.js';
import {
  administratorUser,
  endGate,
  formatServerTrust,
  formatTrust,
  issueGate,
  makeTrust,
  renewUser,
  systemName,
  systemUser,
  type Trust,
  verifierUser,
} from './fleet-trust.js';
import { formatJoinFile, type JoinFile } from './join-file.js';
import { type Places, placesOf } from './open-settings.js';
import { formatServerConfiguration, formatServerScript } from './server-configuration.js';
import { readPublicKeys } from './state-folder.js';

export interface PrepareFlags {
  /** `HOST` or `HOST:PORT`, as the gates dial it. */
  readonly server: string;
  readonly hosts: string;
  readonly state: string;
  readonly runAs?: string;
}

const serverName = 'server';
const operatorName = 'operator';
/** Names that certificates and files of a fleet already use. */
const reserved: ReadonlySet<string> = new Set([verifierName, administratorName, serverName, operatorName]);
const defaultPort = 4222;
const daemonUser = 'dovegate';

const usage = (text: string): CommandFault => new CommandFault(exitCodes.usage, text);

/** Exit code 0; throws a CommandFault (64: names; 77, 78: a file exists, or cannot be written). */
export async function fleetPrepare(screen: Screen, config: string, flags: PrepareFlags): Promise<number> {
  const hosts = hostsOf(flags.hosts);
  const places = placesOf(config);
  const text = settingsText(flags, hosts);
  const settings = parseOwn(places.config, text);
  const daemon = ownerNamed(flags.runAs);
  const nowMs = systemClock.wallMs();
  const { certificate, verifier, secrets, accounts } = makeKeys(settings, nowMs);
  const files = new NewFiles();
  try {
    const { folder, keys, admin } = places;
    files.folder(dirname(places.config), 0o755, undefined);
    const mode = daemon === undefined ? 0o600 : 0o640;
    files.file(dirname(places.config), basename(places.config), text, mode, daemon && { ...daemon, uid: 0 });
    files.folder(folder, 0o755, undefined);
    files.folder(keys, 0o755, undefined);
    files.folder(admin, 0o700, undefined);
    files.folder(resolve(flags.state), 0o700, daemon);
    files.file(folder, 'ca.pem', certificate, 0o644, undefined);
    files.file(folder, `${verifierName}.creds`, verifier, 0o600, daemon);
    for (const [name, content] of secrets) files.file(admin, name, content, 0o600, undefined);
    files.folder(accountsIn(admin), 0o700, undefined);
    for (const [name, content] of accounts) files.file(accountsIn(admin), name, content, 0o600, undefined);
  } catch (fault) {
    const left = files.undo();
    const rest = left.length === 0 ? 'nothing was written' : `could not be removed again: ${left.join(', ')}`;
    if (!(fault instanceof NewFilesFault)) throw fault;
    const hint = 'another gate, or other credentials: dovegate audit fleet issue NAME';
    throw new CommandFault(exitCodes.configuration, `${fault.message}\n${rest}; ${hint}`);
  }
  const own = configFlag(config);
  const become = daemon === undefined ? '' : `runuser -u ${formatWords([flags.runAs ?? daemonUser])} -- `;
  await screen.print(
    [
      'made:',
      ...files.made.map((path) => `  ${plain(path)}`),
      '',
      `next: ssh root@${hostOf(settings)} apt-get install -y nats-server`,
      `then: ${serverStep(settings, places)}`,
      `then: dovegate audit fleet init${own}`,
      ...hosts.map((host) => `then: ${joinStep(host, places)}`),
      `then: ${become}dovegate audit fleet verify${own}`,
      `last: take ${plain(places.admin)} away, to a place that is off this machine`,
    ].join('\n'),
  );
  await screen.flush();
  return exitCodes.ok;
}

type Files = readonly (readonly [name: string, content: string])[];

/** Everything that a fleet is known by. `before`: the account with the streams, and those of the gates, which stay what they are. */
function makeKeys(
  settings: FleetSettings,
  nowMs: number,
  before?: { readonly trust: Trust; readonly accounts: ReadonlyMap<string, string> },
): {
  readonly certificate: string;
  readonly verifier: string;
  readonly secrets: Files;
  readonly accounts: Files;
} {
  const authority = makeFleetAuthority(nowMs);
  const { certificate } = authority;
  const server = issueCertificate(authority, [hostOf(settings)], nowMs);
  const verifier = renewUser(makeTrust(nowMs, before?.trust), verifierUser, nowMs);
  const administrator = renewUser(verifier.trust, administratorUser, nowMs);
  const system = renewUser(administrator.trust, systemUser, nowMs);
  const { trust } = system;
  const gates = [...settings.hosts.keys()].map((host) => {
    const subjects = gateSubjectsOf(settings.stream, host);
    return { host, ...issueGate(trust, { host, subjects }, before?.accounts.get(host), nowMs) };
  });
  return {
    certificate,
    verifier: verifier.credentials,
    secrets: [
      ['ca.key', authority.key],
      [trustName, formatTrust(trust)],
      [`${administratorName}.creds`, administrator.credentials],
      [`${systemName}.creds`, system.credentials],
      [`${serverName}.pem`, server.certificate],
      [`${serverName}.key`, server.key],
      ['server.sh', scriptOf(settings, trust, server)],
      ...gates.map((gate): Files[number] => {
        return [`${gate.host}.join`, joinText(settings, gate.host, certificate, gate.credentials)];
      }),
    ],
    accounts: gates.map(({ host, account }) => [accountFileOf(host), `${account}\n`]),
  };
}

/**
 * For a gate, which is added if not listed; the verifier; the administrator; the server; the operator. Exit code 0; 69: the server
 * was not told. Throws a CommandFault.
 */
export async function fleetIssue(screen: Screen, config: string, name: string): Promise<number> {
  const desk = openDesk(screen, config);
  if (name === operatorName) return issueOperator(desk);
  if (name === serverName) return issueServer(desk);
  if (name === verifierName || name === administratorName) return issueUser(desk, name);
  return issueHost(desk, name);
}

/** What the commands for one name need. */
interface Desk {
  readonly screen: Screen;
  readonly config: string;
  readonly places: Places;
  readonly settings: FleetSettings;
  readonly trust: Trust;
}

function openDesk(screen: Screen, config: string): Desk {
  const places = placesOf(config);
  const trust = readTrust(places.admin);
  const settings = readFleetSettings(config, screen, 'state');
  return { screen, config, places, trust, settings };
}

/** All keys are new, so nothing that was signed before counts. The streams stay, and so do the settings. */
async function issueOperator({ screen, config, places, settings, trust }: Desk): Promise<number> {
  const { folder, admin } = places;
  const before = { trust, accounts: readAccounts(admin) };
  const keys = makeKeys(settings, systemClock.wallMs(), before);
  for (const [name, content] of keys.accounts) store(join(accountsIn(admin), name), content, 0o600);
  for (const host of before.accounts.keys())
    if (!settings.hosts.has(host)) rmSync(join(accountsIn(admin), accountFileOf(host)));
  for (const [name, content] of keys.secrets) store(join(admin, name), content, 0o600);
  store(join(folder, 'ca.pem'), keys.certificate, 0o644);
  const own = join(folder, `${verifierName}.creds`);
  store(own, keys.verifier, 0o600, ownerLike(own));
  await screen.print(`all keys of the fleet are new: the server, every gate and every verifier need theirs`);
  await screen.print(`next: ${serverStep(settings, places)}`);
  await screen.print(`then: dovegate audit fleet init${configFlag(config)}`);
  for (const host of settings.hosts.keys()) await screen.print(`then: ${joinStep(host, places)}`);
  await screen.flush();
  return exitCodes.ok;
}

async function issueServer({ screen, places, settings, trust }: Desk): Promise<number> {
  const { folder, admin } = places;
  const authority = { certificate: readOwn(folder, 'ca.pem'), key: readOwn(admin, 'ca.key') };
  const pair = issueCertificate(authority, [hostOf(settings)], systemClock.wallMs());
  store(join(admin, `${serverName}.pem`), pair.certificate, 0o644);
  store(join(admin, `${serverName}.key`), pair.key, 0o600);
  store(join(admin, 'server.sh'), scriptOf(settings, trust, pair), 0o600);
  await screen.print(`a new certificate for ${serverName}`);
  await screen.print(`next: ${serverStep(settings, places)}`);
  await screen.flush();
  return exitCodes.ok;
}

/** The server forgets the user before: each verifier needs a copy of the new file. */
async function issueUser(desk: Desk, name: typeof verifierName | typeof administratorName): Promise<number> {
  const { screen, config, places, settings } = desk;
  const { folder, admin } = places;
  const nowMs = systemClock.wallMs();
  const isVerifier = name === verifierName;
  const renewed = renewUser(desk.trust, isVerifier ? verifierUser : administratorUser, nowMs);
  // Both files are in one folder: who has one has the other.
  const system = isVerifier ? undefined : renewUser(renewed.trust, systemUser, nowMs);
  const trust = system?.trust ?? renewed.trust;
  const own = join(isVerifier ? folder : admin, `${name}.creds`);
  store(join(admin, trustName), formatTrust(trust), 0o600);
  store(own, renewed.credentials, 0o600, ownerLike(own));
  const pair = { certificate: readOwn(admin, `${serverName}.pem`), key: readOwn(admin, `${serverName}.key`) };
  store(join(admin, 'server.sh'), scriptOf(settings, trust, pair), 0o600);
  const isTold = await tell(screen, 'the older ones still work', async () => {
    await pushAccounts(settings, config, [trust.audit]);
    // With this one the server ends our own connection, also before it answers.
    if (system === undefined) return;
    await pushAccounts(settings, config, [trust.system]).catch((fault: unknown) => {
      if (!(fault instanceof NatsFault) || fault.code !== 'closed-early') throw fault;
    });
  });
  if (system !== undefined) store(join(admin, `${systemName}.creds`), system.credentials, 0o600);
  const isKnown =
    isTold && (await tell(screen, 'the new ones do not', () => pushAccounts(settings, config, [])));
  await screen.print(`new credentials for ${name}`);
  if (isKnown) await screen.print('the server knows them now; before it loses its accounts, once:');
  await screen.print(`next: ${serverStep(settings, places)}`);
  await screen.flush();
  return isKnown ? exitCodes.ok : exitCodes.unavailable;
}

async function issueHost(desk: Desk, name: string): Promise<number> {
  const { screen, config, places, trust } = desk;
  const { folder, admin } = places;
  let { settings } = desk;
  checkHost(name);
  if (!settings.hosts.has(name)) checkAlike(name, settings.hosts.keys());
  const before = readAccount(admin, name);
  if (before === undefined && readAccounts(admin).size >= bounds.fleetAccounts - ownAccounts)
    throw new CommandFault(
      exitCodes.configuration,
      `the server takes ${bounds.fleetAccounts} accounts, and has them`,
    );
  if (!settings.hosts.has(name)) {
    const text = readText(places.config).replace(
      /^hosts:[ \t]*(?:#.*)?$/m,
      (line) => `${line}\n${hostLine(name)}`,
    );
    settings = parseAdded(places.config, text, settings, name);
    const found = modeOf(places.config);
    store(places.config, text, found?.mode ?? 0o600, found);
  }
  const subjects = gateSubjectsOf(settings.stream, name);
  const gate = issueGate(trust, { host: name, subjects }, before, systemClock.wallMs());
  store(join(accountsIn(admin), accountFileOf(name)), `${gate.account}\n`, 0o600);
  const text = joinText(settings, name, readOwn(folder, 'ca.pem'), gate.credentials);
  store(join(admin, `${name}.join`), text, 0o600);
  await screen.print(`new credentials for ${name}`);
  const isTold = await tell(screen, 'older credentials still work', async () => {
    const beganMs = systemClock.now();
    await pushAccounts(settings, config, [gate.account]);
    const ms = Math.max(1, Math.round(systemClock.now() - beganMs));
    await makeHostStream(settings, config, name);
    await screen.print(`the server knows them since ${ms} ms after it was dialled, and has the stream`);
  });
  const steps = [
    ...(isTold ? [] : [`dovegate audit fleet init${configFlag(config)}`]),
    joinStep(name, places),
  ];
  for (const [at, step] of steps.entries()) await screen.print(`${at === 0 ? 'next' : 'then'}: ${step}`);
  await screen.flush();
  return isTold ? exitCodes.ok : exitCodes.unavailable;
}

/** A gate that is gone: the server knows no user of it any more, and the verifier does not wait for it. Exit codes as of `fleetIssue`. */
export async function fleetRemove(screen: Screen, config: string, name: string): Promise<number> {
  const { places, settings, trust } = openDesk(screen, config);
  const { admin } = places;
  checkHost(name);
  const before = readAccount(admin, name);
  if (before === undefined) throw usage(`"${name}" has no account here; fleet.yaml names the gates`);
  const ended = endGate(trust, name, before, systemClock.wallMs());
  store(join(accountsIn(admin), accountFileOf(name)), `${ended}\n`, 0o600);
  rmSync(join(admin, `${name}.join`), { force: true });
  const isTold = await tell(screen, 'its credentials still work', () =>
    pushAccounts(settings, config, [ended]),
  );
  if (isTold) await screen.print(`the server knows no user of ${name} any more; its stream stays`);
  const steps = isTold ? [] : [`dovegate audit fleet init${configFlag(config)}`];
  if (settings.hosts.has(name)) {
    const text = readText(places.config);
    const without = text.replace(`${hostLine(name)}\n`, '');
    const { settings: parsed } = parseFleetSettings(places.config, without, unseenFiles, 'state');
    if (parsed !== undefined && !parsed.hosts.has(name)) {
      const found = modeOf(places.config);
      store(places.config, without, found?.mode ?? 0o600, found);
      await screen.print(`${plain(places.config)} does not list it any more`);
    } else steps.push(`take ${name} out of "hosts" in ${plain(places.config)}`);
  }
  steps.push('systemctl reload dovegate-fleet');
  for (const [at, step] of steps.entries()) await screen.print(`${at === 0 ? 'next' : 'then'}: ${step}`);
  await screen.flush();
  return isTold ? exitCodes.ok : exitCodes.unavailable;
}

/** AUDIT and SYS. */
const ownAccounts = 2;

/** False: the server cannot be told now, for a reason that is said. */
async function tell(screen: Screen, until: string, send: () => Promise<void>): Promise<boolean> {
  try {
    await send();
    return true;
  } catch (fault) {
    if (!(fault instanceof NatsFault)) throw fault;
    screen.complain(`dovegate: the server was not told, and ${until}: ${fault.message}`);
    return false;
  }
}

/** Throws a CommandFault. */
function store(path: string, text: string, mode: number, owner?: Owner): void {
  try {
    writeAtomically(path, text, mode, owner);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be written: ${messageOf(cause)}`);
  }
}

function hostsOf(written: string): readonly string[] {
  const hosts = written.split(',').map((each) => each.trim());
  for (const host of hosts) checkHost(host);
  if (new Set(hosts).size < hosts.length) throw usage('--hosts names a gate twice');
  for (const [at, host] of hosts.entries()) checkAlike(host, hosts.slice(0, at));
  return hosts;
}

function checkHost(host: string): void {
  if (!isHostWord(host))
    throw usage(
      `"${plain(host)}" is not the word of a gate: 1 to 63 letters, digits, dashes and underscores, as mail-gate-1`,
    );
  if (reserved.has(host.toLowerCase()))
    throw usage(
      `"${host}" is not the name of a gate; "${host.toLowerCase()}" has another meaning here, and capitals do not make it another name`,
    );
}

/** A name that is mistyped by its capitals would be another gate. */
function checkAlike(host: string, others: Iterable<string>): void {
  const alike = [...others].find((each) => each !== host && each.toLowerCase() === host.toLowerCase());
  if (alike !== undefined)
    throw usage(`"${host}" differs from "${alike}" in capitals only: take another name`);
}

function hostOf({ servers }: FleetSettings): string {
  return servers[0]?.host ?? '';
}

/** Undefined: the verifier runs as the user of this process. Throws a CommandFault for an unknown user. */
function ownerNamed(runAs: string | undefined): Owner | undefined {
  const { isRoot, uid: own } = ourselves();
  const uid = runAs === undefined ? (isRoot ? uidOf(daemonUser) : undefined) : uidOf(runAs);
  if (uid === undefined && runAs !== undefined) throw usage(`this machine has no user "${plain(runAs)}"`);
  if (uid === undefined || uid === own) return undefined;
  if (!isRoot) throw usage('only root can give files to another user');
  return { uid, gid: gidsOf(uid)[0] ?? uid };
}

/** The owner of a replaced file; undefined: it is ours. */
function ownerLike(path: string): Owner | undefined {
  const found = modeOf(path);
  return found === undefined || found.uid === ourselves().uid ? undefined : found;
}

function settingsText({ server, state }: PrepareFlags, hosts: readonly string[]): string {
  const where = /^(?:[^:]+|\[.+\]):\d+$/.test(server) ? server : `${server}:${defaultPort}`;
  return `# The settings of "dovegate audit fleet", written by its "prepare". What each key means: docs/audit-fleet.md.
nats: ${JSON.stringify(`tls://${where}`)}
ca: fleet/ca.pem
credentials: fleet/${verifierName}.creds

# The gates that must be there. key: what "dovegate audit fleet join" prints at the gate.
hosts:
${hosts.map((host) => hostLine(host)).join('\n')}

state: ${JSON.stringify(resolve(state))}

# For "dovegate audit fleet init", which makes the streams.
replicas: 1 # 3 in a cluster
keep: 7d # of the streams; the mirror is the archive (mirror_keep)
# share: 10GiB # of the server's disk, for each gate
`;
}

function hostLine(host: string): string {
  return `  ${JSON.stringify(host)}: { key: "fleet/keys/${host}.pub", silent_after: 5m }`;
}

/** Files of a text that are not checked. */
const unseenFiles: FleetFiles = {
  readText,
  whyUnreadable: () => undefined,
  isMissing: () => false,
  whyUnsafe: () => undefined,
};

/** A text without a file; the files that it names need not exist. Throws a CommandFault. */
function parseOwn(path: string, text: string): FleetSettings {
  const { settings, problems } = parseFleetSettings(path, text, unseenFiles, 'state');
  if (settings !== undefined) return settings;
  const lines = problems.map((problem) => formatProblem(problem, text));
  throw usage(['these names make no settings:', ...lines].join('\n'));
}

/** The text with one more host, and nothing else changed. Throws a CommandFault. */
function parseAdded(path: string, text: string, before: FleetSettings, host: string): FleetSettings {
  const parsed = parseFleetSettings(path, text, unseenFiles, 'state').settings;
  const added = parsed?.hosts.get(host);
  const names = (settings: FleetSettings): string => JSON.stringify({ ...settings, hosts: undefined });
  if (parsed !== undefined && added !== undefined && names(parsed) === names(before)) return parsed;
  throw new CommandFault(
    exitCodes.configuration,
    `the gate cannot be added to ${path}; write it below "hosts", and run this again:\n${hostLine(host)}`,
  );
}

function readOwn(folder: string, name: string): string {
  const path = join(folder, name);
  try {
    return readText(path);
  } catch (cause) {
    throw new CommandFault(
      exitCodes.configuration,
      `${path} cannot be read; "dovegate audit fleet prepare" makes it, and it may be kept elsewhere`,
      cause,
    );
  }
}

function scriptOf(settings: FleetSettings, trust: Trust, pair: KeyPair): string {
  return formatServerScript(formatServerConfiguration(settings), {
    ...pair,
    trust: formatServerTrust(trust),
  });
}

function joinText(settings: FleetSettings, host: string, authority: string, credentials: string): string {
  const servers = settings.servers
    .map((each) => `tls://${each.host.includes(':') ? `[${each.host}]` : each.host}:${each.port}`)
    .join(',');
  const { stream } = settings;
  return formatJoinFile({ host, servers, stream, authority, credentials, ...publicKeysOf(settings) });
}

/** Those that gates are to know, as far as they are there: the verifiers', or our own verifier's. */
function publicKeysOf({ verifiers, state }: FleetSettings): Pick<JoinFile, 'verifiers'> {
  try {
    const own = verifiers.size > 0 ? [] : readPublicKeys(state);
    const all = own.length > 0 ? new Map([[verifierName, own]]) : verifiers;
    return {
      verifiers: Object.fromEntries([...all].map(([name, keys]) => [name, `${keys.join('\n')}\n`])),
    };
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `a public key cannot be read: ${messageOf(cause)}`);
  }
}

/** Empty for the standard path. */
function configFlag(config: string): string {
  return config === '/etc/dovegate/fleet.yaml' ? '' : ` --config ${formatWords([config])}`;
}

function serverStep(settings: FleetSettings, { admin }: Places): string {
  return `ssh root@${hostOf(settings)} sh < ${formatWords([join(admin, 'server.sh')])}`;
}

function joinStep(host: string, { admin, keys }: Places): string {
  const [from, to] = [join(admin, `${host}.join`), join(keys, `${host}.pub`)].map((path) =>
    formatWords([path]),
  );
  return `ssh root@${host} dovegate audit fleet join < ${from} > ${to}`;
}
