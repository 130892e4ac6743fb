// Checks single values of a parsed command: fields, flags and rights unknown to servers, and values that end the server's process or that
// its releases read differently. An unknown one ends the process without a status, so it is refused here.
import { foldAscii } from '../../host/words/text.js';
import { isAddress } from '../names/glob.js';
import { lateFields } from '../protocol/releases.js';
import {
  type Command,
  fetchFieldClass,
  type Parameter,
  type Series,
  statusFields,
  statusTotals,
} from './catalog.js';
import { type Unparsable, unparsable } from './getopt.js';
import { searchSize, searchTime } from './search-query.js';

export interface Reading {
  readonly series: Series;
  readonly command: Command;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

const systemFlags = ['Answered', 'Flagged', 'Deleted', 'Seen', 'Draft', 'Recent'].map((name) => `\\${name}`);

/** A system flag in the servers' spelling, whatever its case; other words, and keywords, unchanged. */
export function foldFlag(flag: string): string {
  return systemFlags.find((one) => foldAscii(one) === foldAscii(flag)) ?? flag;
}

/** `:admin` would be the same right as `admin` to a server; only names are taken. */
const rights = new Set(
  'lookup read write write-seen write-deleted insert post expunge create delete admin all'.split(' '),
);
const aclSubjects = /^(?:user=|group=|group-override=|(?:owner|authenticated|anyone|anonymous)$)/;

export function refuseUnknownWords(line: Reading): Unparsable | undefined {
  const name = withUnknownWord(line);
  if (name === undefined) return undefined;
  const what = name === 'id' ? 'an id' : `a ${name}`;
  return unparsable(
    'fields-invalid',
    `"${line.command.name}" is given ${what} that it does not have, or not with these options`,
  );
}

function withUnknownWord({ series, command, values }: Reading): string | undefined {
  const fields = values.get('field') ?? [];
  if (command.name === 'fetch')
    return fields.every((field) => fetchFieldClass(series, field) !== undefined) ? undefined : 'field';
  if (command.name === 'mailbox status') {
    const known = values.has('total-sum') ? statusTotals : statusFields;
    // No release of 2.3 has a late field; which of 2.4 has it is checked where the command is sent.
    const isKnown = (field: string): boolean =>
      field === 'all' || (known.includes(field) && !(series === '2.3' && lateFields.has(field)));
    return fields.every(isKnown) ? undefined : 'field';
  }
  if (command.name.startsWith('flags ')) {
    return values.get('flag')?.some((flag) => flag.startsWith('\\') && !systemFlags.includes(flag)) === true
      ? 'flag'
      : undefined;
  }
  if (!command.name.startsWith('acl ')) return undefined;
  const [id = 'owner'] = values.get('id') ?? [];
  // A line end would begin another entry of the file; servers detect it, and their process ends (measured on 2.3.19.1 and 2.4.1).
  if (!aclSubjects.test(id) || /[\r\n]/.test(id)) return 'id';
  const areKnown = (values.get('right') ?? []).every((right) => rights.has(right.replace(/^-/, '')));
  return areKnown ? undefined : 'right';
}

/** Refuses arguments that end a server's process, or that releases of the series read differently. */
export function refuseFatal({ series, command, values }: Reading): Unparsable | undefined {
  const { name, params, scope } = command;
  const kills = (why: string): Unparsable => unparsable('kills-server', why);
  const control = scope === 'server' ? withControl(command, values) : undefined;
  if (control !== undefined)
    return unparsable('text-invalid', `a value of ${control} of "${name}" holds a control character`);
  if (name === 'user' && values.has('userdb-only'))
    return kills('servers die of the option -u of "user"; leave it out');
  // Up to 2.3.16 it has a value, from 2.3.17 on it has none.
  if (series === '2.3' && name === 'mailbox cryptokey password' && values.has('ask-old-password'))
    return unparsable('ambiguous-argument', 'releases of 2.3 differ in whether -O takes a value; use -o');
  if (name.startsWith('mailbox metadata ')) {
    const refusal = refuseMetadata(name, values);
    if (refusal !== undefined) return refusal;
  }
  if (name === 'mailbox path' && (values.get('mailbox') ?? []).length > 1)
    return kills('"mailbox path" takes one mailbox only');
  const fatal = params.find((parameter) =>
    values.get(parameter.name)?.some((value) => isFatal(series, command, parameter, value)),
  );
  if (fatal !== undefined) return kills(`servers die of this value of ${fatal.name} of "${name}"`);
  const [firstRecent = '0'] = values.get('min-first-recent-uid') ?? [];
  if (BigInt(firstRecent) > BigInt(values.get('min-next-uid')?.[0] ?? '0'))
    return kills(`"${name}" needs -N with at least the number of -R`);
  if (series === '2.4' && (name === 'kick' || name === 'proxy kick')) {
    // A second value that is not an address to the server is a second user, and ends its process: `/`, `1.2.3.4/33`, `%{user}`.
    const masks = values.get('mask') ?? [];
    const isPair = masks.length === 2 && masks.filter(isNetwork).length === 1 && !masks.every(isAddress);
    if (masks.length > 1 && !isPair)
      return kills(`"${name}" takes one user and one address at most, the address written in full`);
  }
  const lacks = (...names: readonly string[]): boolean => !names.some((each) => values.has(each));
  if (name === 'proxy kick' && lacks('user', 'mask', 'host'))
    return kills('"proxy kick" needs a user or a host');
  // Measured on 2.3.19.1 and 2.4.1: the end of file, and nothing is flushed.
  if (name === 'auth cache flush' && lacks('user', 'user-mask'))
    return kills(`servers die of "${name}" without a user`);
  if (name === 'mailbox cache decision' && lacks('all', 'fieldstr'))
    return kills(`"${name}" needs the fields, or -a for all of them`);
  return undefined;
}

function refuseMetadata(name: string, values: Reading['values']): Unparsable | undefined {
  if (values.get('mailbox')?.[0] === '' && !values.has('allow-empty-mailbox-name'))
    return unparsable('argument-missing', `"${name}" takes an empty mailbox name only with -s`);
  const key = (values.get('key') ?? values.get('key-prefix'))?.[0];
  if (key !== undefined && !/^\/(?:private|shared)(?:\/|$)/.test(key))
    return unparsable('kills-server', `a key of "${name}" begins with /private or /shared`);
  // It damages the index of the mailbox (measured on 2.3.19.1 and 2.4.1).
  if (/ (?:set|unset)$/.test(name) && /^\/[a-z]+\/?$/.test(key ?? ''))
    return unparsable('argument-missing', `a key of "${name}" has a name behind /private/ or /shared/`);
  return undefined;
}

/** Free texts, or values with a control character check of their own. */
const freeRoles: readonly Parameter['role'][] = ['stats-filter', 'sub-commands', 'text', 'value'];

/**
 * A parameter with a control character in a value. Server commands hand values to sockets of services, whose protocols have lines and TABs:
 * `director status '' 'x LF HOST-REMOVE TAB HOST'` removes the host (measured on 2.3.19.1), and is a command that reads.
 */
function withControl({ params }: Command, values: Reading['values']): string | undefined {
  return params.find(
    ({ name, role }) =>
      !freeRoles.includes(role) && values.get(name)?.some((value) => /[\0-\x1f\x7f]/.test(value)) === true,
  )?.name;
}

/** Characters that Pigeonhole refuses in a script's name. */
const badScriptName = /^$|[\0-\x1f/\x7f-\x9f\xff\u2028\u2029]/;
const scriptNameMax = 256;
/** Values of `mailbox path`. `list-index`, which the manual lists, ends the process in both series. */
const pathTypes = new Set('dir alt-dir mailbox alt-mailbox control index index-private'.split(' '));
const decisions = new Set(['yes', 'temp', 'no']);
/** A number with a 0 before it is octal to servers. */
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** Measured on 2.3.19.1 and 2.4.1, where not said otherwise: end of file without a status. */
function isFatal(series: Series, command: Command, parameter: Parameter, value: string): boolean {
  const { role, name, type } = parameter;
  if (role === 'sieve-script') {
    return Array.from(value).length > scriptNameMax || badScriptName.test(value);
  }
  if (role === 'auth-info') {
    const [, key, info = ''] = /^(service|protocol|[lr]ip|[lr]port)=(.*)$/s.exec(value) ?? [];
    if (key === undefined || (key === 'protocol' && series === '2.3')) return true;
    return key.endsWith('ip') ? !isIp(info) : key.endsWith('port') && !isPort(info);
  }
  if (name === 'dest-host') return !isIp(value);
  // `-` would be the server's own standard input.
  if (type === 'istream') return role === 'content-file' && value === '-';
  switch (command.name) {
    case 'mailbox create':
    case 'mailbox update':
      return (role === 'guid' || role === 'mailbox-guid') && !/^[0-9a-f]{32}$/i.test(value);
    case 'mailbox path':
      return name === 'type' && !pathTypes.has(value) && !(series === '2.4' && value === 'index-cache');
    case 'mailbox cache decision':
      // 2.3 answers USAGE for one mailbox, and its process ends at a second.
      return name === 'decision' && !decisions.has(value);
    case 'save':
      return name === 'received-date' && searchTime(series, value) === undefined;
    case 'sync':
    case 'backup':
      if (name === 'sync-since-time' || name === 'sync-until-time')
        return searchTime(series, value) === undefined;
      if (name === 'sync-flags') return value.includes(' ');
      if (name === 'sync-max-size') return searchSize(value) === undefined;
      return name === 'mailbox-guid' && !/^[0-9a-f]{32}$/i.test(value);
    case 'stats dump':
      // Split at blanks and commas; a list without a name ends the process in both series.
      return name === 'fields' && /^[\s,]*$/.test(value);
    case 'oldstats dump':
      return name === 'type' ? !statsTypes.has(value) : name === 'filter' && isFatalFilter(value);
    default:
      return false;
  }
}

const statsTypes = new Set(['command', 'session', 'user', 'domain', 'ip', 'global']);

/** It goes to the stats service unchanged: conditions separated by TAB; a LF would begin another command, for example `RESET`. */
function isFatalFilter(filter: string): boolean {
  return filter.split('\t').some((part) => {
    const [, key, value = ''] = /^(since|ip)=(.*)$/s.exec(part) ?? [];
    if (/[\r\n]/.test(part)) return true;
    return key === 'since' ? !/^\d{1,10}$/.test(value) : key === 'ip' && !isNetwork(value);
  });
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) < 65_536;
}

/** Whether every server reads it as an address or a network: written in full, with a valid prefix length. */
function isNetwork(value: string): boolean {
  const [address = '', bits, ...more] = value.split('/');
  const bitsMax = address.includes(':') ? 128 : 32;
  const isInBounds = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax);
  return more.length === 0 && isInBounds && isIp(address);
}

function isIp(text: string): boolean {
  if (ipv4.test(text)) return true;
  // The last two groups can be written as an IPv4 address.
  const last = text.slice(text.lastIndexOf(':') + 1);
  const halves = (ipv4.test(last) ? `${text.slice(0, -last.length)}0:0` : text).split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const isWhole = halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
  return isWhole && groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group));
}
