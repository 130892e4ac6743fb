// `dovegate audit fleet join`: on a gate, makes the daemon send its journal to the stream, by a file from `prepare`; the only
// change of the configuration is one line, which includes `ship/ship.yaml`. Stdout gets the public key of the journal, for the
// verifier, and nothing else.

import { X509Certificate } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { gidsOf, ourselves, uidOf } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { readIfThere, readText, writeAtomically } from '../../host/machine/files.js';
import { modeOf, NewFiles, NewFilesFault, type Owner } from '../../host/machine/new-files.js';
import { packaged } from '../../host/machine/packaged.js';
import { holdProcess, readFromDisk } from '../../host/machine/process.js';
import { CommandFault, plain, readStdin } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asList, asObject, asText, isObject, parseLine } from '../../host/values/values.js';
import { parseSettings } from '../../rules/config/parse-settings.js';
import { isSinkOf, type NatsSinkSettings, type SinkSettings } from '../../rules/config/sinks.js';
import { publicKeyName } from '../../rules/keys/sign-key.js';
import { loadConfiguration } from '../../rules/setup/configuration.js';
import { daemonUidOf, summarise } from '../../rules/setup/inspect.js';
import { inspectBeside } from '../../rules/setup/inspect-beside.js';
import { readAsked } from '../cli/fleet-places.js';
import { whyNotOfUser } from '../nats/jwt.js';
import { type JoinFile, joinBytesMax, parseJoinFile } from './join-file.js';

/** Asks the daemon of a configuration; rejects with a CommandFault (69: none answers). */
export type FindDaemon = (
  config: string,
) => Promise<
  (method: 'GET' | 'POST', path: string) => Promise<{ readonly status: number; readonly body: string }>
>;

export interface JoinFlags {
  readonly config: string;
  /** Undefined: standard input. */
  readonly file: string | undefined;
  /** Also to another fleet: the host moves. */
  readonly beside: boolean;
  /** To this fleet alone, under this name. */
  readonly instead: boolean;
}

const folderName = 'ship';
const includedName = 'ship.yaml';
const credentialsName = 'gate.creds';
const authorityName = 'ca.pem';
/** Below the folder: the files of a second fleet. */
const besideName = 'beside';
/** How long the present records may take to the stream. */
const sentMs = 20_000;
const lookMs = 100;

/** Exit code 0: the stream has the journal; 1: not yet. Throws a CommandFault. */
export async function fleetJoin(
  screen: Screen,
  { config, file, ...how }: JoinFlags,
  findDaemon: FindDaemon,
): Promise<number> {
  const release = holdProcess();
  try {
    const given = await readJoinFile(file);
    const before = loadConfiguration(config, { beside: inspectBeside });
    if (before.settings === undefined)
      throw new CommandFault(
        exitCodes.configuration,
        [...before.problems, `${summarise(config, before)}; nothing was changed`].join('\n'),
      );
    const { audit } = before.settings;
    const { directory } = audit;
    const place = placeFor(config, given, audit.ship, how);
    // In the package, a user of its own sends records.
    const sender = realpathSync(config) === packaged.file ? uidOf(packaged.shipUser) : undefined;
    const uid = sender ?? daemonUidOf(before.settings, new Set([config]), undefined);
    writeFiles(config, given, place, ownerFor(uid));
    include(config);
    screen.complain(`${config} sends the journal of this gate as ${given.host} to ${given.servers}`);
    const code = await reloadAndWait(screen, config, given, findDaemon);
    const key = readKey(directory);
    if (key === undefined)
      screen.complain(
        `there is no ${join(directory, publicKeyName)} yet: start the daemon, then run this again`,
      );
    else await screen.print(key.trimEnd());
    await screen.flush();
    return key === undefined ? exitCodes.failed : code;
  } finally {
    release();
  }
}

/** Throws a CommandFault. */
async function readJoinFile(path: string | undefined): Promise<JoinFile> {
  if (path === undefined && process.stdin.isTTY)
    throw new CommandFault(exitCodes.usage, 'name the file of this gate, or give it on standard input');
  const text = path === undefined ? (await readStdin(joinBytesMax)).toString() : readAsked(path);
  const file = parseJoinFile(text);
  if (file === undefined)
    throw new CommandFault(
      exitCodes.usage,
      `${path ?? 'standard input'} is not a file for "fleet join"; "fleet prepare" and "fleet issue" make them (HOST.join)`,
    );
  const why = whyNotOfUser(file.host, file.credentials) ?? whyNoCertificate(file.authority);
  if (why !== undefined) throw new CommandFault(exitCodes.usage, `${path ?? 'standard input'}: ${why}`);
  return file;
}

function whyNoCertificate(pem: string): string | undefined {
  try {
    return new X509Certificate(pem).ca ? undefined : 'the authority is the certificate of something else';
  } catch {
    return 'the authority cannot be read';
  }
}

/** Undefined: who reads the files is the user of this process. */
function ownerFor(uid: number | undefined): Owner | undefined {
  if (uid === undefined || uid === ourselves().uid) return undefined;
  return { uid, gid: gidsOf(uid)[0] ?? uid };
}

/** Where the files of a receiver are, and the other one, which stays. */
interface Place {
  readonly name: '' | typeof besideName;
  readonly other: NatsSinkSettings | undefined;
}

/** Throws a CommandFault: the file is of another gate, or of another fleet. */
function placeFor(
  config: string,
  given: JoinFile,
  sinks: readonly SinkSettings[],
  { beside, instead }: Pick<JoinFlags, 'beside' | 'instead'>,
): Place {
  if (instead) return { name: '', other: undefined };
  const folder = join(dirname(resolve(config)), folderName);
  const isAt = (sink: NatsSinkSettings, name: Place['name']): boolean =>
    sink.credentialsFile !== undefined &&
    resolve(sink.credentialsFile) === join(folder, name, credentialsName);
  const nats = sinks.filter((sink) => isSinkOf(sink, 'nats'));
  const own = (['', besideName] as const).flatMap((name) => {
    const sink = nats.find((each) => isAt(each, name));
    return sink === undefined ? [] : [{ name, sink }];
  });
  const same = own.find(({ sink }) => isOfCell(given, sink));
  const other = own.find((each) => each !== same)?.sink;
  const there = same?.sink ?? other;
  if (there === undefined) return { name: '', other };
  const { hostWord: host = '' } = there;
  const isOther = host !== given.host && !(beside && same === undefined);
  const refused = (text: string): CommandFault =>
    new CommandFault(exitCodes.configuration, `${text}; nothing was changed`);
  if (isOther)
    throw refused(
      `this gate has joined as "${host}", and the file is that of "${given.host}": take ${host}.join; or, to send as "${given.host}" from now on, add --instead`,
    );
  if (same !== undefined) return { name: same.name, other };
  const servers = serversOf(there);
  if (!beside)
    throw refused(
      `this gate sends to ${servers}, and the file is of another fleet, ${plain(given.servers)}: add --beside to send to both, or --instead to send to the new one alone`,
    );
  if (own.length > 1)
    throw refused('this gate sends to two fleets already: add --instead to send to one alone');
  return { name: besideName, other };
}

function serversOf({ servers }: NatsSinkSettings): string {
  return servers
    .map(({ host, port }) => `tls://${host.includes(':') ? `[${host}]` : host}:${port}`)
    .join(',');
}

/** After `issue operator` the authority is another one, and after a move of the server its name. */
function isOfCell({ servers, authority }: JoinFile, sink: NatsSinkSettings): boolean {
  const there = new Set(serversOf(sink).split(','));
  const ca = sink.caFile === undefined ? undefined : readIfThere(sink.caFile);
  return servers.split(',').some((each) => there.has(each)) || ca === authority;
}

function writeFiles(
  config: string,
  given: JoinFile,
  { name: at, other }: Place,
  sender: Owner | undefined,
): void {
  const folder = join(dirname(resolve(config)), folderName);
  const verifiers = Object.entries(given.verifiers).map(([name, keys]) => [`${name}.pub`, keys] as const);
  const receivers = [
    ...(other === undefined
      ? []
      : receiverLines({
          servers: serversOf(other),
          stream: other.stream,
          authority: relative(folder, other.caFile ?? ''),
          credentials: relative(folder, other.credentialsFile ?? ''),
          host: other.hostWord ?? '',
          verifiers: other.verifiers,
        })),
    ...receiverLines({
      ...given,
      authority: join(at, authorityName),
      credentials: join(at, credentialsName),
      verifiers: verifiers.map(([name]) => join(at, name)),
    }),
  ];
  const lines = [
    '# Written by "dovegate audit fleet join", which writes it again (docs/audit-fleet.md).',
    'audit:',
    '  ship:',
    ...receivers,
    '',
  ];
  attempt(folder, () => {
    new NewFiles().folder(folder, 0o755, undefined);
    new NewFiles().folder(join(folder, at), 0o755, undefined);
    writeAtomically(join(folder, at, credentialsName), given.credentials, 0o600, sender);
    writeAtomically(join(folder, at, authorityName), given.authority, 0o644);
    for (const [name, keys] of verifiers) writeAtomically(join(folder, at, name), keys, 0o644);
    writeAtomically(join(folder, includedName), lines.join('\n'), 0o644);
    if (other === undefined && at === '') rmSync(join(folder, besideName), { recursive: true, force: true });
  });
}

function receiverLines({
  servers,
  stream,
  authority,
  credentials,
  host,
  verifiers,
}: Omit<JoinFile, 'verifiers'> & { readonly verifiers: readonly string[] }): readonly string[] {
  return [
    `    - nats: ${JSON.stringify(servers)}`,
    `      stream: ${JSON.stringify(stream)}`,
    `      ca: ${authority}`,
    `      credentials: ${credentials}`,
    `      host: ${JSON.stringify(host)}`,
    ...(verifiers.length === 0 ? [] : [`      verifiers: ${JSON.stringify(verifiers)}`]),
  ];
}

/** Throws a CommandFault if the system refuses. */
function attempt(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    if (cause instanceof CommandFault) throw cause;
    if (cause instanceof NewFilesFault) throw new CommandFault(exitCodes.configuration, cause.message);
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    const isForbidden = code === 'EACCES' || code === 'EPERM';
    throw new CommandFault(
      isForbidden ? exitCodes.notPermitted : exitCodes.configuration,
      `${path} cannot be written: ${messageOf(cause)}`,
    );
  }
}

/** Adds the line to the configuration if it is missing. Throws a CommandFault; the configuration is unchanged then. */
function include(config: string): void {
  const included = join(dirname(config), folderName, includedName);
  const line = `include: [${folderName}/${includedName}]`;
  const parsed = parseSettings(config, readFromDisk, { nowMs: systemClock.wallMs() });
  const path = realpathSync(config);
  const text = readText(path);
  const isIncluded = parsed.files.has(included);
  if (!isIncluded) {
    if (/^include[ \t]*:/m.test(text))
      throw new CommandFault(
        exitCodes.configuration,
        `${config} includes other files already; add ${folderName}/${includedName} to its "include", and run this again`,
      );
    const found = modeOf(path);
    attempt(path, () => writeAtomically(path, withLine(text, line), found?.mode ?? 0o600, found));
  }
  const loaded = loadConfiguration(config, { beside: inspectBeside });
  if (loaded.settings !== undefined) return;
  if (!isIncluded) {
    const found = modeOf(path);
    attempt(path, () => writeAtomically(path, text, found?.mode ?? 0o600, found));
  }
  const verdict = `${summarise(config, loaded)}; ${isIncluded ? '' : `${config} is as it was, without ${line}`}`;
  throw new CommandFault(exitCodes.configuration, [...loaded.problems, verdict].join('\n'));
}

/** After `version`, where people look for it. */
function withLine(text: string, line: string): string {
  const added = `# The journal goes to a stream too: written by "dovegate audit fleet join".\n${line}\n`;
  const version = /^version[ \t]*:.*\n/m.exec(text);
  if (version === null) return `${text}${text.endsWith('\n') || text === '' ? '' : '\n'}${added}`;
  const at = version.index + version[0].length;
  return text.slice(0, at) + added + text.slice(at);
}

async function reloadAndWait(
  screen: Screen,
  config: string,
  { servers }: JoinFile,
  findDaemon: FindDaemon,
): Promise<number> {
  let daemon: Awaited<ReturnType<FindDaemon>>;
  try {
    daemon = await findDaemon(config);
    const answer = await daemon('POST', '/reload');
    if (answer.status !== 200) {
      screen.complain(`the daemon did not reload: ${answer.body.trim()}`);
      return exitCodes.failed;
    }
  } catch (fault) {
    if (!(fault instanceof CommandFault)) throw fault;
    screen.complain(`${fault.message}\nstart or reload the daemon: it sends its journal then`);
    return fault.exitCode;
  }
  const name = (servers.split(',')[0] ?? '').replace(/^tls:\/\//, '');
  const endMs = systemClock.now() + sentMs;
  for (;;) {
    const sink = sinkIn((await daemon('GET', '/status.json')).body, name);
    const state = sink?.['state'];
    if (state === 'connected' && sink?.['lag_records'] === 0) {
      screen.complain('the stream has all records of this journal');
      return exitCodes.ok;
    }
    if (systemClock.now() > endMs || state === 'forked') {
      const fault = sink?.['fault'];
      const why = asText(asObject(fault)?.['text']) ?? 'it is still sending';
      screen.complain(`the stream does not have all records yet: ${why}; dovegate doctor looks at the way`);
      return exitCodes.failed;
    }
    await new Promise<void>((done) => systemClock.setTimer(lookMs, done));
  }
}

function sinkIn(body: string, name: string): Readonly<Record<string, unknown>> | undefined {
  return asList(parseLine(body)?.['shipping'])
    ?.filter(isObject)
    .find((sink) => sink['sink'] === name);
}

function readKey(directory: string): string | undefined {
  try {
    return readText(join(directory, publicKeyName));
  } catch {
    return undefined;
  }
}
