// Reads the output of `doveconf -n`, of Dovecot 2.3 and 2.4, as far as a new configuration needs it. Any other text is refused
// as a whole.

import type { Series } from '../../doveadm/commands/catalog.js';
import type { NameCase } from '../../doveadm/names/user-name.js';
import { runProgram } from '../../host/machine/programs.js';

/** Names of sockets in Dovecot's base directory: the one for dovegate, and Dovecot's own for root's `doveadm`. */
export const [socketName, ownSocketName] = ['dovegate-doveadm', 'doveadm-server'] as const;

export interface DoveadmSocket {
  readonly path: string;
  /** Undefined: not given, so Dovecot's default, 0600. */
  readonly mode: string | undefined;
  /** The owner; empty: root. */
  readonly user: string;
}

export interface DoveadmPort {
  readonly port: number;
  /** As written; `*` and `::`: all of this machine. */
  readonly addresses: readonly string[];
  /** The HTTP API, which speaks another protocol. */
  readonly isHttp: boolean;
}

export interface DovecotFacts {
  readonly version: string;
  readonly series: Series;
  readonly sockets: readonly DoveadmSocket[];
  readonly ports: readonly DoveadmPort[];
  /** `doveadm_password` and `doveadm_api_key`: without them its ports refuse everybody. */
  readonly isPasswordSet: boolean;
  readonly isApiKeySet: boolean;
  /** The prefixes below which mail of others may be: of shared, public and virtual namespaces; undefined: they cannot be determined. */
  readonly sharedNamespaces: readonly string[] | undefined;
  readonly defaultRealm: string | undefined;
  readonly names: NamesOfMailbox;
  /** `doveadm_port`: where it sends commands for users of other hosts, as a proxy or a director; empty: nowhere. */
  readonly proxyPort: string;
  /** `doveadm_port` and `doveadm_ssl` are set: `doveadm` then requires TLS on UNIX sockets, too. */
  readonly wantsTlsOnSockets: boolean;
  /** Where it replicates to (`mail_replica`), or that it does (service replicator); empty: it does not. */
  readonly replica: string;
  /** Each process of service doveadm serves one connection, as by default: its number of processes counts connections. */
  readonly isCounting: boolean;
  readonly baseDirectory: string;
  /** `doveadm_allowed_commands` as printed; empty: all. */
  readonly allowedCommands: string;
}

/** Which names mean the same mailbox by Dovecot's settings. Its userdb may add aliases, which the settings do not show. */
export interface NamesOfMailbox {
  /** Names that differ in case: `auth_username_format`. */
  readonly case: NameCase;
  /** Why names that differ in more mean the same mailbox, in words; undefined: they do not. */
  readonly merged: string | undefined;
}

/** A block in braces: its name as written, its settings, its inner blocks. */
interface Block {
  readonly name: string;
  readonly settings: Map<string, string>;
  readonly blocks: Block[];
}

const linesMax = 20_000;
const depthMax = 16;

/** Undefined: the text is not the output of doveconf 2.3 or 2.4. */
export function parseDoveconf(text: string): DovecotFacts | undefined {
  const [, version = '', series] = /^# ((2\.[34])\.\d+[\w.~+-]*)(?: |$)/m.exec(text) ?? [];
  const top = parseBlocks(text);
  if (top === undefined || (series !== '2.3' && series !== '2.4')) return undefined;
  const baseDirectory = top.settings.get('base_dir') ?? '/run/dovecot';
  const services = top.blocks.filter(({ name }) => name === 'service doveadm');
  const listeners = services.flatMap(({ blocks }) => blocks);
  const set = (name: string): string => top.settings.get(name) ?? '';
  const proxyPort = set('doveadm_port').replace(/^0$/, '');
  const within = (name: string): readonly Block[] => top.blocks.filter((each) => each.name === name);
  const plugin = within('plugin').flatMap(({ settings }) => settings.get('mail_replica') ?? []);
  const once = ['service_count', 'service_restart_request_count'];
  return {
    version,
    series,
    baseDirectory,
    sockets: listeners.flatMap((each) => socketOf(each, baseDirectory)),
    ports: listeners.flatMap((each) => portOf(each, addressesIn(top.settings.get('listen')))),
    isPasswordSet: set('doveadm_password') !== '',
    isApiKeySet: set('doveadm_api_key') !== '',
    allowedCommands: set('doveadm_allowed_commands'),
    // A namespace for one protocol or some clients may have another type or prefix there.
    sharedNamespaces: top.blocks.some(hasNamespaceWithin) ? undefined : sharedOf(top.blocks),
    defaultRealm: set('auth_default_realm') || set('auth_default_domain') || undefined,
    names: namesOf(top.settings.get('auth_username_format'), set('auth_username_translation')),
    proxyPort,
    wantsTlsOnSockets: proxyPort !== '' && !['', 'no'].includes(set('doveadm_ssl')),
    replica: plugin[0] ?? (set('mail_replica') || (within('service replicator')[0]?.name ?? '')),
    isCounting: services.every(({ settings }) => once.every((name) => (settings.get(name) ?? '1') === '1')),
  };
}

/**
 * By default Dovecot makes names lower case: `%Lu` in 2.3, `%{user | lower}` in 2.4. Empty: names stay as given. Names that differ in case
 * are one user if every part is made lower or upper, which is not so for `%n@%Ld`. `translation`: pairs of characters; the first of each
 * pair becomes the second.
 */
function namesOf(format = '%Lu', translation: string): NamesOfMailbox {
  const parts = [...format.replaceAll('%%', '').matchAll(/%([-\d.]*[A-Z]*)(?:\{([^}]*)\}|([a-z]))/g)].map(
    ([, modifiers = '', braces = '', letter = '']) => ({
      isMade: /[LU]/.test(modifiers) || /\b(?:lower|upper)\b/.test(braces),
      hasDomain: /[ud]/.test(letter) || /^ *(?:user|domain) *(?:\| *(?:lower|upper|domain) *)*$/.test(braces),
    }),
  );
  const isDropped = format !== '' && !parts.some(({ hasDomain }) => hasDomain);
  // Only the default characters of names matter: names with others are refused.
  const isTranslated = /^(?:..)*?([A-Za-z0-9._+=@-])(?!\1)./.test(translation);
  return {
    case: parts.length > 0 && parts.every(({ isMade }) => isMade) ? 'fold' : 'keep',
    merged: isDropped
      ? 'drops the domain of names (auth_username_format)'
      : isTranslated
        ? 'translates characters of names (auth_username_translation)'
        : undefined,
  };
}

/** Since 2.4.5 a value of several lines is `<<END`, its lines as they are, and a line `END`. */
function parseBlocks(text: string): Block | undefined {
  const top: Block = { name: '', settings: new Map(), blocks: [] };
  const open = [top];
  const lines = text.split('\n');
  if (lines.length > linesMax) return undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = (lines[at] ?? '').trim();
    const block = open.at(-1);
    if (block === undefined) return undefined;
    const [, begun] = /^([^#=][^=]*?) \{$/.exec(line) ?? [];
    const [, key, value = ''] = /^([\w/.-]+) =(?: (.*))?$/.exec(line) ?? [];
    if (begun !== undefined) {
      const child: Block = { name: begun, settings: new Map(), blocks: [] };
      block.blocks.push(child);
      open.push(child);
      if (open.length > depthMax) return undefined;
    } else if (line === '}') {
      open.pop();
    } else if (key !== undefined) {
      const end = value.startsWith('<<') ? lines.indexOf(value.slice(2), at + 1) : -1;
      // Without an end line the value is a text that begins with `<<`, as all releases print it.
      block.settings.set(key, end < 0 ? unquoted(value) : lines.slice(at + 1, end).join('\n'));
      at = Math.max(at, end);
    }
  }
  return open.length === 1 ? top : undefined;
}

function unquoted(value: string): string {
  return /^".*"$/.test(value) ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value;
}

function socketOf({ name, settings }: Block, baseDirectory: string): DoveadmSocket[] {
  const [, path] = /^unix_listener (.+)$/.exec(name) ?? [];
  if (path === undefined) return [];
  const mode = settings.get('mode');
  const whole = path.startsWith('/') ? path : `${baseDirectory}/${path}`;
  return [{ path: unquoted(whole), mode, user: settings.get('user') ?? '' }];
}

/** `address` in 2.3, `listen` in 2.4; else the addresses of all services. */
function portOf({ name, settings }: Block, usual: readonly string[]): DoveadmPort[] {
  const port = Number(settings.get('port') ?? 0);
  if (!/^inet_listener\b/.test(name) || !(port > 0)) return [];
  const own = addressesIn(settings.get('address') ?? settings.get('listen'));
  const addresses = own.length > 0 ? own : usual.length > 0 ? usual : ['*', '::'];
  return [{ port, addresses, isHttp: name.startsWith('inet_listener http') }];
}

function addressesIn(text = ''): readonly string[] {
  return text.split(/[,\s]+/).flatMap((each) => (each === '' ? [] : each.replaceAll(/[[\]]/g, '')));
}

function hasNamespaceWithin({ blocks }: Block): boolean {
  return blocks.some((each) => /^namespace\b/.test(each.name) || hasNamespaceWithin(each));
}

/** Prefixes end before the owner's name (`%%u` in 2.3, `$user` in 2.4). Virtual mailboxes may show mail of shared and public ones. */
function sharedOf(blocks: readonly Block[]): readonly string[] | undefined {
  const namespaces = blocks.filter(({ name }) => /^namespace\b/.test(name));
  const isOfOthers = ({ settings }: Block): boolean => !['private', ''].includes(settings.get('type') ?? '');
  if (!namespaces.some(isOfOthers)) return [];
  const shared = namespaces.filter((each) => isOfOthers(each) || isVirtual(each));
  const prefixes = shared.map(({ settings }) => (settings.get('prefix') ?? '').replace(/[%$].*$/, ''));
  const isSure = prefixes.every((prefix) => /^[^\p{Cc}"\\*?]*[/.]$/u.test(prefix));
  return isSure ? [...new Set(prefixes)] : undefined;
}

function isVirtual({ settings }: Block): boolean {
  return (
    settings.get('mail_driver') === 'virtual' || settings.get('location')?.startsWith('virtual:') === true
  );
}

export const askLimits = { timeoutMs: 5_000, bytesMax: 1 << 20 } as const;

/** The facts about this machine's Dovecot, or why they are unknown. */
export async function askDovecot(): Promise<DovecotFacts | string> {
  const ended = await runProgram('doveconf', ['-n'], askLimits);
  switch (ended.kind) {
    case 'absent':
      return 'no Dovecot was found here: there is no program doveconf';
    case 'failed':
      return `doveconf -n does not work: ${ended.why}`;
    case 'ended':
      if (ended.exitCode !== 0)
        return `doveconf -n ended with exit code ${ended.exitCode}; run it to see why`;
      return parseDoveconf(ended.stdout) ?? 'doveconf -n printed nothing of a Dovecot 2.3 or 2.4';
    default:
      return ended satisfies never;
  }
}
