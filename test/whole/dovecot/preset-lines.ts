// Makes lines for a policy that try to get more than its preset says: the lines of the preset's own tests, bent; and lines made from the
// catalog for each of its commands, with values that mean more to a server than they look. The same seed makes the same lines.
import {
  type Command,
  commandNamed,
  type Parameter,
  type Series,
} from '../../../src/doveadm/commands/catalog.js';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { alice, bob, type PresetPlaces, victim } from './preset-policies.js';
import { markOf, realm } from './twin-worlds.js';

/** The user field, and the words. */
export type PresetLine = readonly [user: string, ...words: string[]];

const users = [alice, alice, alice, bob, victim, `ALICE@${realm.toUpperCase()}`, '', '*', `nobody@${realm}`];
const masks = [...users, `*@${realm}`, ...'a* ?* 192.0.2.1 10.1 0.0.0.0/0 ::/0 ::1/128 %{user} /'.split(' ')];
const mailboxes = [
  ...'INBOX inbox Archive Trash Junk Spam Drafts Work Work/Plans New'.split(' '),
  ...`${markOf('alice')} * % I* T%  INBOX/INBOX ../x ~/x /etc shared`.split(' '),
  ...`shared/${victim} shared/${victim}/INBOX shared/${bob}/Archive SHARED/${victim}/INBOX`.split(' '),
  ...'sh* shared/* Trash/ Trash* "Trash"'.split(' '),
];
const texts = '| |\n|\t|%|*|@|<|.|e|mark|sender|example|net|\u00ad|%{user}|%99'.split('|');
const fields: Readonly<Record<string, string>> = {
  fetch:
    'uid guid mailbox mailbox-guid seq flags modseq size.physical size.virtual date.received date.sent date.saved date.saved.unixtime pop3.uidl storageid refcount user hdr hdr.subject body text text.utf8 body.preview body.snippet imap.envelope imap.body imap.bodystructure mime.parts binary.1 pop3.order',
  'mailbox status':
    'messages recent uidnext uidvalidity unseen highestmodseq vsize guid firstsaved all deleted',
  user:
    'home uid gid mail mail_path quota_rule quota_storage_size mail_crypt_private_password imapc_password ' +
    'pass password user HOME * quota*',
};
const dates = (
  '30d 31d 8w 1s 0s 0 -1 29d 49710d 20000d 99999999999 1970-01-01 01-Jan-1970 2099-01-01 01-Jan-2099 ' +
  '1700000002 4294967295secs'
).split(' ');
const dateKeys = 'savedbefore before sentbefore savedsince since x-savedbefore savedon'.split(' ');
const sets = ['1:*', '1', '2:*', '*', '1:4294967295', '4294967295:1'];
const rights =
  'lookup read write write-seen write-deleted insert post expunge create delete admin all -read'.split(' ');
const subjects = [
  ...'owner anyone authenticated anonymous group=x group-override=x'.split(' '),
  ...[alice, bob, victim, '*', ''].map((user) => `user=${user}`),
];
const scripts = `main script-${markOf('alice')} new ../main . .. x.sieve /etc/passwd `.split(' ');
const hidden = '/private/vendor/vendor.dovecot/pvt';
const keys = [
  ...`/private/comment /private/note /shared/comment ${hidden}/hidden /private/vendor`.split(' '),
  '/private/vendor/vendor.dovecot/PVT/hidden',
  '/private//vendor/vendor.dovecot/pvt/hidden',
  '/private/vendor/vendor.dovecot//pvt/hidden',
  ...`${hidden} /private /private/ /shared /shared/vendor/vendor.dovecot/pvt/server/comment `.split(' '),
];
const statsFilters = `user=* user=${victim} ip=192.0.2.1 since=0 x\nRESET since=x connected`.split(' ');
const odd = (
  '| |0|1|-1|4294967296|x|*|%|\n|a\nb|x\tRESET|%{user}|%{env:PATH}|%{userdb:imapc_password}|/etc/passwd|-|--|../x|' +
  `${'x'.repeat(300)}|\u0301|ü`
).split('|');

/** A line for one of the commands of a policy, or a bent one of its own lines. */
export function makePresetLine(
  random: Random,
  series: Series,
  commands: readonly string[],
  own: readonly PresetLine[],
  places: PresetPlaces,
): PresetLine {
  const roll = random();
  if (roll < 0.35 && own.length > 0) return bend(random, pick(random, own), places);
  const command = commandNamed(series, pick(random, commands));
  if (command === undefined) return pick(random, own);
  const user = userField(random, command);
  const line: PresetLine = [user, command.name, ...argumentsFor(random, command, places)];
  return random() < 0.15 ? bend(random, line, places) : line;
}

function userField(random: Random, command: Command): string {
  if (command.scope === 'server') return random() < 0.9 ? '' : alice;
  return random() < 0.85 ? alice : pick(random, users);
}

function argumentsFor(random: Random, command: Command, places: PresetPlaces): string[] {
  const options: string[] = [];
  const positionals: string[] = [];
  for (const parameter of command.params) {
    if (parameter.name === 'source-type' || parameter.role === 'internal') continue;
    if (parameter.isPositional) {
      if (parameter.isOptional && random() < 0.5) break;
      positionals.push(...valuesFor(random, command, parameter, places));
    } else if (random() < (command.params.length > 12 ? 0.08 : 0.2)) {
      for (const value of valuesFor(random, command, parameter, places).slice(0, 2)) {
        options.push(`--${parameter.name}${parameter.type === 'bool' ? '' : `=${value}`}`);
      }
    }
  }
  return [...options, '--', ...positionals];
}

function valuesFor(random: Random, command: Command, parameter: Parameter, places: PresetPlaces): string[] {
  const { name, type } = parameter;
  const { destination } = places;
  // As text: roles that are not listed get any word.
  const role: string = parameter.role ?? '';
  if (type === 'bool') return [''];
  if (type === 'int') return [pick(random, ['0', '1', '86400', '4294967295', '-1', 'x'])];
  if (random() < 0.04) return [pick(random, odd)];
  const several = (from: readonly string[]): string[] =>
    Array.from({ length: type === 'array' ? randomInteger(random, 1, 2) : 1 }, () => pick(random, from));
  switch (role) {
    case 'mailbox':
    case 'mailbox-mask':
      return several(random() < 0.5 ? mailboxes.slice(0, 10) : mailboxes);
    case 'search-query':
      return query(random, 0);
    case 'output-fields':
      return [fieldsFor(random, command)];
    case 'metadata-key':
      return [pick(random, random() < 0.5 ? keys.slice(0, 4) : keys)];
    case 'acl-id':
      return [pick(random, subjects)];
    case 'acl-right':
      return several(rights);
    case 'sieve-script':
      return several(scripts);
    case 'user':
    case 'user-mask':
    case 'user-mask-or-ip':
    case 'source-user':
      return several(masks);
    case 'remote-destination':
      return [
        pick(random, [destination, destination, `${destination} `, 'sh -c id', 'tcp:127.0.0.1:1', 'imapc:']),
      ];
    case 'mail-location':
      return [`maildir:${places.importFolder}${pick(random, ['', '/', '/../mail', ':INDEX=/tmp'])}`];
    case 'stats-filter':
      return [pick(random, statsFilters)];
    case 'name':
      return [pick(random, ['global', 'user', 'command', 'all', 'ip', 'GLOBAL', ''])];
    case 'auth-info':
      return [pick(random, ['service=imap', 'protocol=imap', 'rip=192.0.2.1', 'x'])];
    case 'var-expansion':
      return [pick(random, ['%{home}', '%{env:PATH}', '%{userdb:imapc_password}'])];
    case 'namespace':
      return [pick(random, ['', 'shared/', 'INBOX', 'shared'])];
    case 'mailbox-guid':
    case 'guid':
      return ['0123456789abcdef0123456789abcdef'];
    case 'socket':
      return ['/nonexistent'];
    default:
      return [pick(random, /since|until|date/.test(name) ? dates : [...texts, ...odd])];
  }
}

function fieldsFor(random: Random, command: Command): string {
  const from = fields[command.name];
  if (from === undefined) return pick(random, ['', ' ', 'count', 'count sum', '%99', 'x', '\t', 'count\tx']);
  const count = command.name === 'user' ? 1 : randomInteger(random, 1, 3);
  return Array.from({ length: count }, () => pick(random, from.split(' '))).join(' ');
}

function query(random: Random, depth: number): string[] {
  const words: string[] = depth === 0 && random() < 0.7 ? ['mailbox', pick(random, mailboxes)] : [];
  const isOr = random() < 0.15;
  for (let left = randomInteger(random, 1, 3); left > 0; left -= 1) {
    if (words.length > 0 && isOr) words.push('OR');
    if (random() < 0.12) words.push(pick(random, ['NOT', 'fuzzy']));
    if (depth < 2 && random() < 0.15) words.push('(', ...query(random, depth + 1), ')');
    else words.push(...condition(random));
  }
  return words;
}

function condition(random: Random): string[] {
  const roll = random();
  if (roll < 0.12) return ['all'];
  if (roll < 0.3) return [pick(random, ['from', 'subject', 'to', 'cc', 'body', 'text']), pick(random, texts)];
  if (roll < 0.42)
    return ['header', pick(random, ['Message-ID', 'Subject', 'X', 'From', '', '*']), pick(random, texts)];
  if (roll < 0.62) return [pick(random, dateKeys), pick(random, dates)];
  if (roll < 0.7) return ['mailbox', pick(random, mailboxes)];
  if (roll < 0.78) return ['uid', pick(random, sets)];
  if (roll < 0.82) return [pick(random, ['larger', 'smaller']), pick(random, ['0', '1k', '1M', '999G'])];
  if (roll < 0.86) return [pick(random, ['older', 'younger']), pick(random, ['1', '4294967295', '2592000'])];
  if (roll < 0.9)
    return [pick(random, ['keyword', 'unkeyword', 'guid', 'modseq']), pick(random, ['x', '', '0', '1'])];
  if (roll < 0.93) return ['mailbox-guid', '0123456789abcdef0123456789abcdef'];
  return [pick(random, ['seen', 'unseen', 'flagged', 'deleted', 'savedatesupported', 'oldestonly', '1:*'])];
}

const bentOptions = '-A|-r|-s|-f x|-d|-u|-a x|-h 192.0.2.1|-e %{home}|-m|-1|-p'.split('|');
const pools = [dates, mailboxes, texts, masks, keys, sets, scripts, subjects, odd];

/** One or two changes: a word instead of another, beside it, or none; an option; another user. */
function bend(random: Random, [user, ...words]: PresetLine, places: PresetPlaces): PresetLine {
  const changed = [...words];
  let field = user;
  for (let left = randomInteger(random, 1, 2); left > 0; left -= 1) {
    const at = randomInteger(random, 1, Math.max(1, changed.length - 1));
    const own = pools.find((pool) => pool.includes(changed[at] ?? ''));
    const word = pick(random, own !== undefined && random() < 0.6 ? own : pick(random, pools));
    const roll = random();
    if (roll < 0.3) changed[at] = word;
    else if (roll < 0.45) changed.splice(at, 0, word);
    else if (roll < 0.55) changed.splice(at, 1);
    else if (roll < 0.65) changed.push(...condition(random));
    else if (roll < 0.75) field = pick(random, users);
    else if (roll < 0.9) changed.push(...pick(random, bentOptions).split(' '));
    else changed[at] = places.destination;
  }
  return [field, ...changed];
}
