// Reads the files of `catalog`: commands of plugins and other editions of Dovecot, in the form of scripts/catalog/doveadm-SERIES.json. A
// file only adds names. An added name and one of the shipped catalog cannot be mistaken for each other, on the wire or in JSON. A parameter
// that cannot be judged is a problem, and is never treated as plain text.

import * as z from 'zod';
import {
  AddedCommands,
  allEffects,
  allHolds,
  allRoles,
  commandNames,
  mailParametersOf,
  type Series,
} from '../../doveadm/commands/catalog.js';
import { bounds } from '../../host/bounds/bounds.js';
import { sha256Hex } from '../../host/values/digest.js';
import { type Cursor } from './cursor.js';
import { meantBy, type ProblemList } from './problem.js';
import type { Sources } from './read-files.js';
import { flag, listOf, matching, oneOf, strict, text, word } from './schema-parts.js';
import { validate } from './validate.js';

const parameter = strict('a parameter', {
  name: matching(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'must be the long name of a parameter: lower-case letters, digits and dashes',
  ),
  short: matching(/^[A-Za-z0-9]$/, 'must be one letter or digit').optional(),
  type: z.enum(['bool', 'str', 'int', 'array'], {
    error:
      'must be one of: bool, str, int, array (a file that the server opens, istream, cannot be judged here)',
  }),
  positional: flag(),
  optional: flag(),
  unsigned: flag(),
  role: text('a role').optional(),
});

const command = strict('a command', {
  name: matching(
    /^(?=.{1,64}$)[a-z0-9][a-z0-9_-]*(?: [a-z0-9][a-z0-9_-]*){0,7}$/,
    'must be the full name of a command: at most 8 words of lower-case letters, digits and dashes, with one blank between',
  ),
  scope: oneOf(['user', 'server']),
  effect: oneOf(allEffects).prefault('admin'),
  grant: oneOf(['normal', 'explicit', 'never']).prefault('explicit'),
  hold: oneOf(allHolds).optional(),
  hold_why: text('why').optional(),
  input: z
    .literal('none', {
      error: 'must be none: a command that reads a text, or speaks both ways, cannot be added',
    })
    .prefault('none'),
  permutes: flag(true),
  params: listOf(parameter, 'parameters').default([]),
  plugin: text('the name of the plugin').optional(),
  note: text('a note').optional(),
  source: text('where it is from').optional(),
});

const catalogSchema = strict('a catalog', {
  series: word.pipe(oneOf(['2.3', '2.4'])),
  dovecot: text('the release that it is from').optional(),
  about: text('what it is').optional(),
  commands: listOf(command, 'commands').min(1, { error: 'must have at least one command' }),
});

type RawCommand = z.infer<typeof command>;
type RawParameter = z.infer<typeof parameter>;

export interface CatalogSettings {
  readonly files: readonly CatalogFile[];
  readonly added: AddedCommands;
}

export interface CatalogFile {
  readonly path: string;
  /** SHA-256 of the text, in hex. */
  readonly hash: string;
  readonly text: string;
}

/** A command that an earlier file, or an earlier part of this one, defined. */
interface Earlier {
  readonly name: string;
  readonly series: Series;
  readonly scope: RawCommand['scope'];
  readonly where: string;
}

/** Undefined: the configuration names no file. Faults are reported, and their commands left out. */
export function parseCatalog(
  paths: readonly string[],
  cursor: Cursor,
  { sources, problems }: { readonly sources: Sources; readonly problems: ProblemList },
): CatalogSettings | undefined {
  if (paths.length === 0) return undefined;
  const files: CatalogFile[] = [];
  const rows: string[] = [];
  const earlier: Earlier[] = [];
  let bytes = 0;
  for (const [index, path] of paths.entries()) {
    const at = cursor.kind() === 'list' ? cursor.down(index) : cursor;
    if (files.some((each) => each.path === path)) {
      at.error([], `${path} is named twice; take one out`, 'defined-twice');
      continue;
    }
    const root = sources.load(path, { place: at.place(), path: at.path() });
    const content = sources.texts.get(path);
    if (root === undefined || content === undefined) continue;
    // A reload passes all of them to the main thread in one message.
    bytes += Buffer.byteLength(content);
    if (bytes > bounds.catalogBytes) {
      const most = `${bounds.catalogBytes / 1024} KiB`;
      at.error(
        [],
        `the files have more than ${most} together, with ${path}; keep the commands that are used`,
      );
      continue;
    }
    files.push({ path, hash: sha256Hex(content), text: content });
    const valid = validate(catalogSchema, root, problems);
    if (valid === undefined) continue;
    const { series, commands } = valid.value;
    for (const [number, each] of commands.entries()) {
      const place = valid.cursor.down('commands', number);
      const row = readCommand(each, series, place, earlier);
      if (row !== undefined) rows.push(row);
    }
  }
  return { files, added: new AddedCommands(rows.join('\n')) };
}

/** Its row in the table; undefined: it is left out, and the problems say why. */
function readCommand(raw: RawCommand, series: Series, at: Cursor, earlier: Earlier[]): string | undefined {
  const { name, scope, effect, grant, permutes, params } = raw;
  const changing = scope === 'user' ? 'named' : 'all';
  const { hold = effect === 'read' || effect === 'session' ? 'keeps' : changing } = raw;
  if (earlier.length >= bounds.addedCommands) {
    at.error(
      [],
      `is more than the ${bounds.addedCommands} commands that files can add; keep those that are used`,
    );
    return undefined;
  }
  const why = whyTaken(name, series, scope, earlier);
  if (why !== undefined) {
    at.error(['name'], why, 'defined-twice');
    return undefined;
  }
  const { file, line } = at.place();
  earlier.push({ name, series, scope, where: `${file}:${line}` });
  const areGood = params.map((each, index) => {
    const problem = whyBad(each, index, raw, series);
    if (problem !== undefined) at.error(['params', index, ...problem.key], problem.text);
    return problem === undefined;
  });
  if (areGood.includes(false)) return undefined;
  const traits = [scope, effect, grant, hold, 'none', ...(permutes ? [] : ['ordered'])].join(' ');
  return [series, name, traits, params.map(wordOf).join(' ')].join(' | ').trimEnd();
}

/** Why the name cannot be added: on the wire or in JSON it could be mistaken for another one. */
function whyTaken(
  name: string,
  series: Series,
  scope: RawCommand['scope'],
  earlier: readonly Earlier[],
): string | undefined {
  if (name.split(' ', 1)[0] === 'dovegate')
    return 'begins with dovegate, which is for its own commands; take it out';
  for (const ours of commandNames()) {
    if (ours === name) return `"${name}" is in the catalog already, and a file cannot change it; take it out`;
    if (isConfused(name, ours)) return `would be mixed up with "${ours}" of the catalog; take it out`;
  }
  for (const { where, ...other } of earlier) {
    if (other.name !== name && isConfused(name, other.name))
      return `would be mixed up with "${other.name}" (${where}); leave one of them`;
    if (other.name !== name) continue;
    if (other.series === series) return `is already defined in ${where}; leave one of them`;
    if (other.scope !== scope) return `has another scope in ${where}; it must be the same in both series`;
  }
  return undefined;
}

/** Whether one name begins with all words of the other, or both are one name in JSON. */
function isConfused(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return long.startsWith(`${short} `) || one.replaceAll('-', ' ') === other.replaceAll('-', ' ');
}

/** Names with a special meaning for the parser of arguments. */
const reservedNames = new Set(['field', 'fieldstr', 'file', 'flag', 'flagstr', 'source-type', 'source-user']);

/** Roles that only commands of the shipped catalog have: their effect depends on the command. */
const ownRoles = new Set([
  'all-users',
  'content-file',
  'internal',
  'source-user',
  'sub-commands',
  'user-file',
]);

/** What is wrong with a parameter; undefined: nothing. */
function whyBad(
  { name, short, type, positional, optional, unsigned, role }: RawParameter,
  index: number,
  { scope, params }: RawCommand,
  series: Series,
): { readonly key: readonly string[]; readonly text: string } | undefined {
  const before = params.slice(0, index);
  const others = scope === 'user' ? [...mailParametersOf(series), ...before] : before;
  if (reservedNames.has(name))
    return {
      key: ['name'],
      text: `${name} is a parameter that only commands of the catalog have; leave the command out`,
    };
  if (others.some((each) => each.name === name))
    return {
      key: ['name'],
      text: `${name} is there already${before.some((each) => each.name === name) ? '' : ': every command of scope user has -A, -S, -u and -F'}; take it out`,
    };
  if (short !== undefined && others.some((each) => each.short === short))
    return { key: ['short'], text: `-${short} is there already; a letter is one option` };
  if (unsigned && type !== 'int') return { key: ['unsigned'], text: 'is for type int only; take it out' };
  if (role !== undefined && !allRoles.includes(role))
    return {
      key: ['role'],
      text: `there is no role ${JSON.stringify(role)}${meantBy(role, allRoles, '; leave it out, then a rule must name the parameter')}`,
    };
  if (role !== undefined && ownRoles.has(role))
    return {
      key: ['role'],
      text: `${role} is a role that only commands of the catalog have; leave the command out`,
    };
  // The parser of arguments takes a parameter with this role for the -u of a mail command.
  if (role === 'user' && scope === 'user')
    return {
      key: ['role'],
      text: 'is the role of -u here; a user besides that of the line has the role user-mask',
    };
  if (
    (name === 'query') !== (role === 'search-query') ||
    (role === 'search-query' && (!positional || type !== 'array'))
  )
    return {
      key: [],
      text: 'a search query has the name query, the role search-query and the type array, and is positional',
    };
  if (!positional) return undefined;
  if (type === 'bool') return { key: ['type'], text: 'a bool takes no value, so it cannot be positional' };
  const places = before.filter((each) => each.positional);
  const list = places.find((each) => each.type === 'array');
  if (list !== undefined)
    return { key: [], text: `stands after ${list.name}, which takes all that is left; put it in front` };
  const gap = optional ? undefined : places.find((each) => each.optional);
  return (
    gap && {
      key: [],
      text: `must be given, and stands after ${gap.name}, which need not be; put it in front`,
    }
  );
}

/** The parameter in the notation of the catalog's table. */
function wordOf({ name, short, type, positional, optional, unsigned, role }: RawParameter): string {
  return [
    positional ? '<' : '',
    short === undefined ? '' : `${short}/`,
    `${name}:${type}`,
    optional ? '?' : '',
    unsigned ? '+' : '',
    role === undefined ? '' : `=${role}`,
  ].join('');
}
