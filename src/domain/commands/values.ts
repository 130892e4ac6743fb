// Checks single values of a parsed command: fields, flags and rights that servers do not know, and values that servers die of or that
// their releases read differently. An unknown one ends the server's process without a status, so it is refused here.
import { foldAscii } from '../identity/user-name.js';
import { isAddress } from '../names/glob.js';
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

const systemFlags = ['Answered', 'Flagged', 'Deleted', 'Seen', 'Draft', 'Recent'].map((name) => `\\${name}`);

/** A system flag as servers write it, whatever its case; other words, and keywords, as they are. */
export function foldFlag(flag: string): string {
  return systemFlags.find((one) => foldAscii(one) === foldAscii(flag)) ?? flag;
}

/** `:admin` would be the same right as `admin` to a server; only names are taken. */
const rights = new Set(
  'lookup read write write-seen write-deleted insert post expunge create delete admin all'.split(' '),
);
const aclSubjects = /^(?:user=|group=|group-override=|(?:owner|authenticated|anyone|anonymous)$)/;

/** Refuses words of `field` and `flag` that the server of the series does not know. */
export function checkListWords(
  series: Series,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
): Unparsable | undefined {
  const fields = values.get('field') ?? [];
  if (command.name === 'fetch') {
    return refuseIf(
      command,
      'field',
      fields.some((field) => fetchFieldClass(series, field) === undefined),
    );
  }
  if (command.name === 'mailbox status') {
    const known = values.has('total-sum') ? statusTotals : statusFields;
    // Releases of 2.4 before 2.4.5 end the process for `deleted` (measured on 2.4.1), and 2.3 never had it; `all` has it where it is.
    const isUnknown = (field: string): boolean =>
      field !== 'all' && (!known.includes(field) || field === 'deleted');
    return refuseIf(command, 'field', fields.some(isUnknown));
  }
  if (command.name.startsWith('flags ')) {
    const flags = values.get('flag') ?? [];
    return refuseIf(
      command,
      'flag',
      flags.some((flag) => flag.startsWith('\\') && !systemFlags.includes(flag)),
    );
  }
  const [id = 'owner'] = values.get('id') ?? [];
  if (!command.name.startsWith('acl ')) return undefined;
  const given = values.get('right') ?? [];
  return (
    // A line end would begin another entry of the file; servers notice, and die of it (measured on 2.3.19.1 and 2.4.1).
    refuseIf(command, 'id', !aclSubjects.test(id) || /[\r\n]/.test(id)) ??
    refuseIf(
      command,
      'right',
      given.some((right) => !rights.has(right.replace(/^-/, ''))),
    )
  );
}

function refuseIf(command: Command, name: string, isBad: boolean): Unparsable | undefined {
  if (!isBad) return undefined;
  return unparsable(
    'fields-invalid',
    `"${command.name}" is given a ${name} that it does not have, or not with these options`,
  );
}

/** Single arguments that a server of the series dies of, or that its releases read differently. */
export function refuseFatal(
  series: Series,
  command: Command,
  values: ReadonlyMap<string, readonly string[]>,
): Unparsable | undefined {
  const control = command.scope === 'server' ? withControl(command, values) : undefined;
  if (control !== undefined) {
    return unparsable('text-invalid', `a value of ${control} of "${command.name}" holds a control character`);
  }
  if (command.name === 'user' && values.has('userdb-only')) {
    return unparsable('kills-server', 'servers die of the option -u of "user"; leave it out');
  }
  if (series === '2.3' && command.name === 'mailbox cryptokey password' && values.has('ask-old-password')) {
    // Up to 2.3.16 it takes a value, from 2.3.17 on it takes none.
    return unparsable('ambiguous-argument', 'releases of 2.3 differ in whether -O takes a value; use -o');
  }
  if (
    command.name.startsWith('mailbox metadata ') &&
    values.get('mailbox')?.[0] === '' &&
    !values.has('allow-empty-mailbox-name')
  ) {
    return unparsable('argument-missing', `"${command.name}" takes an empty mailbox name only with -s`);
  }
  const isKeyBad = command.params.some(
    ({ name, role }) =>
      role === 'metadata-key' &&
      values.get(name)?.some((key) => !/^\/(?:private|shared)(?:\/|$)/.test(key)) === true,
  );
  if (isKeyBad) {
    return unparsable('kills-server', `a key of "${command.name}" begins with /private or /shared`);
  }
  if (command.name === 'mailbox path' && (values.get('mailbox') ?? []).length > 1) {
    return unparsable('kills-server', '"mailbox path" takes one mailbox only');
  }
  const fatal = command.params.find((parameter) =>
    values.get(parameter.name)?.some((value) => isFatal(series, command, parameter, value)),
  );
  if (fatal !== undefined) {
    return unparsable('kills-server', `servers die of this value of ${fatal.name} of "${command.name}"`);
  }
  const isKeyEmpty =
    /^mailbox metadata (?:set|unset)$/.test(command.name) &&
    /^\/[a-z]+\/?$/.test(values.get('key')?.[0] ?? '');
  if (isKeyEmpty) {
    // Its index of the mailbox is damaged by it (measured on 2.3.19.1 and 2.4.1).
    return unparsable(
      'argument-missing',
      `a key of "${command.name}" has a name behind /private/ or /shared/`,
    );
  }
  const [firstRecent = '0'] = values.get('min-first-recent-uid') ?? [];
  if (BigInt(firstRecent) > BigInt(values.get('min-next-uid')?.[0] ?? '0')) {
    return unparsable('kills-server', `"${command.name}" needs -N with at least the number of -R`);
  }
  if (series === '2.4' && /^(?:proxy )?kick$/.test(command.name)) {
    // A second value that is not an address to the server is a second user, and ends it: `/`, `1.2.3.4/33`, `%{user}`.
    const masks = values.get('mask') ?? [];
    const isPair = masks.length === 2 && masks.filter(isNetwork).length === 1 && !masks.every(isAddress);
    if (masks.length > 1 && !isPair) {
      return unparsable(
        'kills-server',
        `"${command.name}" takes one user and one address at most, the address written in full`,
      );
    }
  }
  if (command.name === 'proxy kick' && !values.has('user') && !values.has('mask') && !values.has('host')) {
    return unparsable('kills-server', '"proxy kick" needs a user or a host');
  }
  if (command.name === 'auth cache flush' && !values.has('user') && !values.has('user-mask')) {
    // Measured on 2.3.19.1 and 2.4.1: the end of file, and nothing is flushed.
    return unparsable('kills-server', `servers die of "${command.name}" without a user`);
  }
  if (command.name === 'mailbox cache decision' && !values.has('all') && !values.has('fieldstr')) {
    return unparsable('kills-server', `"${command.name}" needs the fields, or -a for all of them`);
  }
  return undefined;
}

/** Values that are text for somebody, or whose control characters are judged by themselves. */
const freeRoles: ReadonlySet<Parameter['role']> = new Set([
  'args',
  'stats-filter',
  'sub-commands',
  'text',
  'value',
]);

/**
 * A parameter with a control character in a value. Server commands hand values to sockets of services, whose protocols have lines
 * and TABs: `director status '' 'x LF HOST-REMOVE TAB HOST'` removes the host (measured on 2.3.19.1), and is a command that reads.
 */
function withControl(
  { params }: Command,
  values: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  return params.find(
    ({ name, role }) =>
      // Control characters are what is looked for.
      !freeRoles.has(role) && values.get(name)?.some((value) => /[\0-\x1f\x7f]/.test(value)) === true,
  )?.name;
}

/** What Pigeonhole does not take for a script's name. */
const badScriptName = /^$|[\0-\x1f/\x7f-\x9f\xff\u2028\u2029]/;
const scriptNameMax = 256;
/** What `mailbox path` can show. Both series die of `list-index`, which the manual lists. */
const pathTypes = new Set('dir alt-dir mailbox alt-mailbox control index index-private'.split(' '));
const decisions = new Set(['yes', 'temp', 'no']);
const ip = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$|^(?=.*:)[0-9a-f:.]{2,45}$/i;

/** Measured on 2.3.19.1 and 2.4.1, where not said otherwise: end of file without a status. */
function isFatal(series: Series, command: Command, parameter: Parameter, value: string): boolean {
  const { role, name, type } = parameter;
  if (role === 'sieve-script') {
    const isLong = value.length > 2 * scriptNameMax || Array.from(value).length > scriptNameMax;
    return isLong || badScriptName.test(value);
  }
  if (role === 'auth-info') {
    const [, key, info = ''] = /^(service|protocol|[lr]ip|[lr]port)=(.*)$/s.exec(value) ?? [];
    if (key === undefined || (key === 'protocol' && series === '2.3')) return true;
    return key.endsWith('ip') ? !ip.test(info) : key.endsWith('port') && !isPort(info);
  }
  if (name === 'dest-host') return !ip.test(value);
  // The server's own standard input.
  if (type === 'istream') return role === 'content-file' && value === '-';
  switch (command.name) {
    case 'mailbox create':
    case 'mailbox update':
      return (role === 'guid' || role === 'mailbox-guid') && !/^[0-9a-f]{32}$/i.test(value);
    case 'mailbox path':
      return name === 'type' && !pathTypes.has(value) && !(series === '2.4' && value === 'index-cache');
    case 'mailbox cache decision':
      // 2.3 says USAGE for one mailbox, and dies of a second.
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
      // Split at blanks and commas; of a list without a name both series die.
      return name === 'fields' && /^[\s,]*$/.test(value);
    case 'oldstats dump':
      return name === 'type' ? !statsTypes.has(value) : name === 'filter' && isFatalFilter(value);
    default:
      return false;
  }
}

/** Rows of `oldstats dump`. */
const statsTypes = new Set(['command', 'session', 'user', 'domain', 'ip', 'global']);

/** Goes to the stats service as it is: conditions separated by TAB, and LF would begin another command, `RESET` say. */
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

/** Whether every server reads it as an address or a network: written in full, its bits within bounds. */
function isNetwork(value: string): boolean {
  const [address = '', bits, ...more] = value.split('/');
  const isV6 = address.includes(':');
  const isInBounds = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isV6 ? 128 : 32));
  if (more.length > 0 || !isInBounds) return false;
  if (!isV6) return ip.test(address);
  const halves = address.split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const isWhole = halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
  return isWhole && groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group));
}
