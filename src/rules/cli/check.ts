// `dovegate check`: every problem of a configuration, all at once.

import { allEffects } from '../../doveadm/commands/catalog.js';
import { holdProcess } from '../../host/machine/process.js';
import { systemListFile } from '../../host/machine/system-trust.js';
import { CommandFault, formatPlace, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatEnd } from '../../host/words/instants.js';
import { formatJson } from '../../host/words/text.js';
import { checkBeside } from '../config/check-beside.js';
import {
  type AccountSettings,
  formatListenerSocket,
  isSocket,
  type ListenerSocket,
  type Settings,
} from '../config/settings.js';
import { identitiesOf } from '../identity/person.js';
import type { Key } from '../keys/key.js';
import { formatTarget, type Policy } from '../policy/policy.js';
import { formatPeers } from '../setup/asker.js';
import { loadConfiguration } from '../setup/configuration.js';
import { askDovecot } from '../setup/doveconf.js';
import { summarise } from '../setup/inspect.js';
import { inspectBeside } from '../setup/inspect-beside.js';

export interface CheckOptions {
  readonly config: string;
  readonly verbose: boolean;
  /** Prints each problem as a line of JSON with its code, and nothing else. */
  readonly json: boolean;
  /** Also whether a daemon could open its journal now. */
  readonly start: boolean;
}

/** Why a daemon would not start now; undefined: it would. Provided by the gate. */
export type WhyNoStart = (config: string, settings: Settings) => Promise<string | undefined>;

/** Exit code 0; 78: an error. With `start` also 1, as a CommandFault that says why a start would fail now. */
export async function check(
  { config, verbose, json, start }: CheckOptions,
  whyNoStart: WhyNoStart,
): Promise<number> {
  const release = holdProcess();
  const dovecot = await askDovecot().finally(release);
  const loaded = loadConfiguration(config, {
    beside: inspectBeside,
    checkBeside,
    dovecot: typeof dovecot === 'string' ? undefined : dovecot,
  });
  if (json) {
    for (const problem of loaded.found) stdout(formatJson(problem));
  } else {
    for (const problem of loaded.problems) stdout(problem);
    if (verbose && loaded.settings !== undefined) stdout(describeSettings(loaded.settings));
    stdout(summarise(config, loaded));
  }
  if (loaded.settings === undefined) return exitCodes.configuration;
  const why = start ? await whyNoStart(config, loaded.settings) : undefined;
  if (why !== undefined) throw new CommandFault(exitCodes.failed, `a daemon would not start now: ${why}`);
  return exitCodes.ok;
}

/** Several lines, without the last LF. */
export function describeSettings(settings: Settings): string {
  const lines: string[] = [`configuration ${settings.hash.slice(0, 16)}`, describeRecords(settings)];
  for (const listener of settings.listeners) {
    const protocol = listener.protocol === 'doveadm' ? '' : ` ${listener.protocol}`;
    const socket = `${describeSocket(listener.socket)}${protocol}`;
    lines.push(`listener ${listener.name}: ${socket}${formatPeers(listener.peers)}`);
    for (const { peers, policy } of listener.policies) {
      const whom = peers === undefined ? everybodyAt(listener.socket) : formatPeers(peers).trim();
      lines.push(`  policy ${policy} for ${whom}`);
    }
    for (const account of listener.accounts) {
      lines.push(`  policy ${account.policy} for account ${account.name}, by ${proofsOf(account)}`);
    }
    for (const key of listener.keys) lines.push(`  policy ${key.policy} for key ${key.name}${termsOf(key)}`);
  }
  for (const backend of settings.backends) {
    const { address } = backend;
    const where = address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`;
    const ca = backend.caFile ?? `the system's list, ${systemListFile() ?? 'which is not there'}`;
    const name = backend.tls === 'off' ? '' : ` as ${backend.serverName}, authorities: ${ca}`;
    lines.push(
      `backend ${backend.name}: ${where} tls ${backend.tls}${name}, ${backend.connections} upstreams at most`,
    );
  }
  for (const route of settings.routes) {
    lines.push(`route ${route.users.texts.join(' ')} -> ${formatTarget(route.target)}`);
  }
  for (const [name, target] of [
    ['other server commands that read', settings.serverCommands.default] as const,
    ...settings.serverCommands.byCommand,
  ]) {
    lines.push(`${name} -> ${target.kind === 'backend' ? target.backend : target.kind}`);
  }
  for (const { path, hash } of settings.catalog?.files ?? [])
    lines.push(`catalog ${path} ${hash.slice(0, 16)}`);
  for (const [name, person] of settings.persons)
    lines.push(`person ${name}: ${identitiesOf(person).join(' ')}`);
  for (const policy of settings.policies.values()) {
    lines.push(`policy ${policy.name} ${policy.version.slice(0, 16)}:`, ...textOf(policy));
    const { shadow } = policy;
    if (shadow === undefined) continue;
    const place = formatPlace(shadow.place);
    lines.push(
      `candidate of policy ${policy.name}, ${place} ${shadow.version.slice(0, 16)}:`,
      ...textOf(shadow),
    );
  }
  return lines.join('\n');
}

function textOf({ effectiveText }: Policy): string[] {
  return effectiveText.split('\n').map((line) => `  ${line}`);
}

/** When a command may be sent: its record is on disk, or in memory that survives a crash of the daemon. */
function describeRecords({ audit: { directory, strict, memoryFile, memoryBytes } }: Settings): string {
  const lax = allEffects.filter((effect) => !strict.has(effect));
  if (memoryFile === undefined || lax.length === 0)
    return `records ${directory}: on disk before a command is sent`;
  const size = `${memoryBytes / 1024} KiB`;
  return `records ${directory}: on disk before a command is sent; of ${lax.join(' ')} in ${memoryFile} (${size})`;
}

function describeSocket(socket: ListenerSocket): string {
  switch (socket.kind) {
    case 'systemd':
      return `handed over by systemd as ${socket.name}`;
    case 'tcp':
      return formatListenerSocket(socket);
    case 'unix': {
      const owner = `${socket.owner ?? '(own)'}:${socket.group ?? '(own)'}`;
      return `${socket.path} mode ${socket.mode.toString(8).padStart(4, '0')} owner ${owner}`;
    }
    default:
      return socket satisfies never;
  }
}

/** The clients of a policy without `peers`, as far as this file says. */
function everybodyAt(socket: ListenerSocket): string {
  if (!isSocket(socket, 'systemd')) return 'everybody';
  return `everybody whom SocketMode= and SocketGroup= of dovegate@${socket.name}.socket let connect`;
}

/** How an account can log in; never the hash. */
function proofsOf({ passwordHash, certificateName }: AccountSettings): string {
  return [
    ...(passwordHash === undefined ? [] : ['a password']),
    ...(certificateName === undefined ? [] : [`a certificate of ${certificateName}`]),
  ].join(', or by ');
}

/** When and from where a key is valid. */
function termsOf({ expiresMs, hashes, from }: Key): string {
  return [
    ...(expiresMs === undefined ? [] : [`, until ${formatEnd(expiresMs)}`]),
    ...(hashes.length === 1 ? [] : [`, ${hashes.length} hashes`]),
    ...(from.length === 0 ? [] : [`, from ${from.join(' ')}`]),
  ].join('');
}
