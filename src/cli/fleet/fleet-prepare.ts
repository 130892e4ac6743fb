// `dovegate audit fleet prepare` and `issue`: the files of a new fleet, and later certificates. `prepare` overwrites nothing,
// private keys are 0600 and never printed, and files for an administrator only are in one folder, which can be taken away.
//
//   fleet.yaml                                   the verifier's settings
//   fleet/ca.pem, verifier.pem, verifier.key, keys/
//   fleet/admin/ca.key, administrator.*, server.*, server.sh, HOST.join

import { basename, dirname, join, resolve } from 'node:path';
import { gidsOf, ourselves, uidOf } from '../../adapters/host/accounts.js';
import { systemClock } from '../../adapters/host/clock.js';
import { readText, writeAtomically } from '../../adapters/host/files.js';
import { modeOf, NewFiles, NewFilesFault, type Owner } from '../../adapters/host/new-files.js';
import { type FleetFiles, type FleetSettings, parseFleetSettings } from '../../domain/config/parse-fleet.js';
import { formatProblem } from '../../domain/config/problem.js';
import { formatWords } from '../../domain/records/audit/encode.js';
import { administratorName } from '../../domain/records/fleet/block.js';
import { isHostWord, verifierName } from '../../domain/records/fleet/names.js';
import { messageOf } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { readFleetSettings } from '../audit/fleet-places.js';
import { CommandFault, plain } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { issueCertificate, type KeyPair, makeFleetAuthority } from './fleet-authority.js';
import { formatRights, streamBytesOf } from './fleet-init.js';
import { formatJoinFile } from './join-file.js';
import { type Places, placesOf } from './open-settings.js';
import { formatServerConfiguration, formatServerScript } from './server-configuration.js';

export interface PrepareFlags {
  /** `HOST` or `HOST:PORT`, as the gates dial it. */
  readonly server: string;
  readonly hosts: string;
  readonly state: string;
  readonly runAs?: string;
}

const serverName = 'server';
/** Names that certificates and files of a fleet already use. */
const reserved: ReadonlySet<string> = new Set([verifierName, administratorName, serverName]);
const defaultPort = 4222;
const verifierUser = 'dovegate';

const usage = (text: string): CommandFault => new CommandFault(exitCodes.usage, text);

/** Exit code 0; throws a CommandFault (64: names; 77, 78: a file exists, or cannot be written). */
export async function fleetPrepare(screen: Screen, config: string, flags: PrepareFlags): Promise<number> {
  const hosts = hostsOf(flags.hosts);
  const places = placesOf(config);
  const text = settingsText(flags, hosts);
  const settings = parseOwn(places.config, text);
  const daemon = ownerNamed(flags.runAs);
  const nowMs = systemClock.wallMs();
  const authority = makeFleetAuthority(nowMs);
  const issue = (names: readonly string[], purpose: 'server' | 'client'): KeyPair =>
    issueCertificate(authority, { names, purpose }, nowMs);
  const [verifier, administrator] = [verifierName, administratorName].map((name) => issue([name], 'client'));
  if (verifier === undefined || administrator === undefined) throw new Error('two names');
  const server = issue([hostOf(settings)], 'server');
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
    files.file(folder, 'ca.pem', authority.certificate, 0o644, undefined);
    files.file(folder, `${verifierName}.pem`, verifier.certificate, 0o644, undefined);
    files.file(folder, `${verifierName}.key`, verifier.key, 0o600, daemon);
    const secrets: readonly (readonly [string, string])[] = [
      ['ca.key', authority.key],
      [`${administratorName}.pem`, administrator.certificate],
      [`${administratorName}.key`, administrator.key],
      [`${serverName}.pem`, server.certificate],
      [`${serverName}.key`, server.key],
      ['server.sh', scriptOf(settings, authority.certificate, server)],
      ...hosts.map((host) => {
        const pair = issue([host], 'client');
        return [`${host}.join`, joinText(settings, host, authority.certificate, pair)] as const;
      }),
    ];
    for (const [name, content] of secrets) files.file(admin, name, content, 0o600, undefined);
  } catch (fault) {
    const left = files.undo();
    const rest = left.length === 0 ? 'nothing was written' : `could not be removed again: ${left.join(', ')}`;
    if (!(fault instanceof NewFilesFault)) throw fault;
    const hint = 'another gate, or a new certificate: dovegate audit fleet issue NAME';
    throw new CommandFault(exitCodes.configuration, `${fault.message}\n${rest}; ${hint}`);
  }
  const own = configFlag(config);
  const become = daemon === undefined ? '' : `runuser -u ${formatWords([flags.runAs ?? verifierUser])} -- `;
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

/** For a gate, which is added if not listed; the verifier; the administrator; the server. Exit code 0; throws a CommandFault. */
export async function fleetIssue(screen: Screen, config: string, name: string): Promise<number> {
  const places = placesOf(config);
  const { folder, admin } = places;
  const authority: KeyPair = { certificate: readOwn(folder, 'ca.pem'), key: readOwn(admin, 'ca.key') };
  let settings = readFleetSettings(config, screen, 'state');
  const nowMs = systemClock.wallMs();
  const issue = (purpose: 'server' | 'client', names: readonly string[]): KeyPair =>
    issueCertificate(authority, { names, purpose }, nowMs);
  const steps: string[] = [];
  const store = (path: string, text: string, mode: number, owner?: Owner): void => {
    try {
      writeAtomically(path, text, mode, owner);
    } catch (cause) {
      throw new CommandFault(exitCodes.configuration, `${path} cannot be written: ${messageOf(cause)}`);
    }
  };
  const storePair = (path: string, pair: KeyPair, owner?: Owner): void => {
    store(`${path}.pem`, pair.certificate, 0o644);
    store(`${path}.key`, pair.key, 0o600, owner);
  };
  const storeScript = (): void => {
    const pair = {
      certificate: readOwn(admin, `${serverName}.pem`),
      key: readOwn(admin, `${serverName}.key`),
    };
    store(join(admin, 'server.sh'), scriptOf(settings, authority.certificate, pair), 0o600);
    steps.push(serverStep(settings, places));
  };
  if (name === verifierName) {
    storePair(join(folder, verifierName), issue('client', [name]), ownerLike(join(folder, `${name}.key`)));
  } else if (name === administratorName) {
    storePair(join(admin, name), issue('client', [name]));
  } else if (name === serverName) {
    storePair(join(admin, name), issue('server', [hostOf(settings)]));
    storeScript();
  } else {
    checkHost(name);
    if (!settings.hosts.has(name)) {
      const text = readText(places.config).replace(
        /^hosts:[ \t]*(?:#.*)?$/m,
        (line) => `${line}\n${hostLine(name)}`,
      );
      settings = parseAdded(places.config, text, settings, name);
      const found = modeOf(places.config);
      store(places.config, text, found?.mode ?? 0o600, found);
      storeScript();
      steps.push(`dovegate audit fleet init${configFlag(config)}`);
    }
    const pair = issue('client', [name]);
    store(join(admin, `${name}.join`), joinText(settings, name, authority.certificate, pair), 0o600);
    steps.push(joinStep(name, places));
  }
  await screen.print(`a new certificate for ${name}`);
  for (const [at, step] of steps.entries()) await screen.print(`${at === 0 ? 'next' : 'then'}: ${step}`);
  await screen.flush();
  return exitCodes.ok;
}

function hostsOf(written: string): readonly string[] {
  const hosts = written.split(',').map((each) => each.trim());
  for (const host of hosts) checkHost(host);
  if (new Set(hosts).size < hosts.length) throw usage('--hosts names a gate twice');
  return hosts;
}

function checkHost(host: string): void {
  if (!isHostWord(host))
    throw usage(
      `"${plain(host)}" is not the word of a gate: 1 to 63 letters, digits, dashes and underscores, as mail-gate-1`,
    );
  if (reserved.has(host)) throw usage(`"${host}" is not the name of a gate; it has another meaning here`);
}

function hostOf({ servers }: FleetSettings): string {
  return servers[0]?.host ?? '';
}

/** Undefined: the verifier runs as the user of this process. Throws a CommandFault for an unknown user. */
function ownerNamed(runAs: string | undefined): Owner | undefined {
  const { isRoot, uid: own } = ourselves();
  const uid = runAs === undefined ? (isRoot ? uidOf(verifierUser) : undefined) : uidOf(runAs);
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
certificate: fleet/${verifierName}.pem
key: fleet/${verifierName}.key

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

function scriptOf(settings: FleetSettings, authority: string, { certificate, key }: KeyPair): string {
  const configuration = formatServerConfiguration(settings, streamBytesOf(settings), formatRights(settings));
  return formatServerScript(configuration, { authority, certificate, key });
}

function joinText(settings: FleetSettings, host: string, authority: string, pair: KeyPair): string {
  const servers = settings.servers
    .map((each) => `tls://${each.host.includes(':') ? `[${each.host}]` : each.host}:${each.port}`)
    .join(',');
  const { certificate, key } = pair;
  return formatJoinFile({ host, servers, stream: settings.stream, authority, certificate, key });
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
