// The rows of a reply: the number of their cells, the names of the columns, and the real program's output format. The wire has no row marks
// and no names, so a reader of a reply needs this table. Which columns a release has is in `doveadm/protocol/releases.ts`. Where several
// kinds of rows are possible, and where a newer Dovecot may have another column, the form of the cells of the first two rows decides: a
// column too many moves the second row, however many rows there are.

import { allSeries, ownCommands, statusFields, statusTotals } from '../commands/catalog.js';
import type { ParsedArguments } from '../commands/parse.js';
import { minorForClients } from '../protocol/minors.js';
import { everyLate, type LateColumns, lateFields, type Server, serverOf } from '../protocol/releases.js';

export interface ReplyColumn {
  /** The name in JSON. */
  readonly key: string;
  /** The name elsewhere. */
  readonly title: string;
  /** Formats with the name beside each value omit it. */
  readonly isTitleHidden: boolean;
  readonly isRightAligned: boolean;
  /** Always a number, in JSON too. */
  readonly isNumber: boolean;
  /** The form of every cell. Undefined: any text. */
  readonly form: RegExp | undefined;
}

export interface ReplyShape {
  readonly format: ReplyFormat;
  /** For `formatted`: text with `%{key}` for values. */
  readonly template: string | undefined;
  /** Empty: there are no rows. */
  readonly columns: readonly ReplyColumn[];
}

const forms: Readonly<Record<string, RegExp>> = {
  active: /^(?:ACTIVE)?$/,
  address: /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f.]*:[0-9a-f:.]*)?$/i,
  fraction: /\.\d+$/,
  global: /^(?:global)?$/,
  guid: /^[0-9a-f]{32}$/,
  list: /^\(.*\)$/,
  number: /^\d+$/,
  quota: /^(?:STORAGE|MESSAGE)$/,
  running: /^(?:yes|no)$/,
  time: /^\d+:\d\d:\d\d$/,
};

/**
 * Columns as words: KEY or KEY=TITLE, `!` after it for a hidden title, `>` for right aligned, `#` for a number; `~` stands for a blank;
 * `:FORM` last, only where each release sends nothing else.
 * From doveadm_print_header() in Dovecot's sources, 2.3.0 to 2.4.5 and Pigeonhole's; seen on servers for those of the core.
 */
export function columnOf(word: string): ReplyColumn {
  const [, key = '', title, marks = '', form = ''] =
    /^([^=]+?)(?:=(.+?))?([!>#]*)(?::([a-z]+))?$/.exec(word) ?? [];
  return Object.freeze({
    form: forms[form],
    key: key.replaceAll('~', ' '),
    title: (title ?? key).replaceAll('~', ' '),
    isTitleHidden: marks.includes('!'),
    isRightAligned: marks.includes('>'),
    isNumber: marks.includes('#'),
  });
}

export function shapeOf(format: ReplyFormat, words: string, template?: string): ReplyShape {
  return Object.freeze({ format, template, columns: words.split(' ').filter(Boolean).map(columnOf) });
}

/** Commands whose rows are always the same: COMMANDS | FORMAT | COLUMNS | TEMPLATE; without columns there are no rows. */
const fixedRows = `
acl add, acl debug, acl delete, acl recalc, acl remove, acl set, altmove, copy, deduplicate, expunge | flow
flags add, flags remove, flags replace, force-resync, fts expand, fts lookup, fts optimize, fts rescan | flow
import, index, mailbox cache purge, mailbox mutf7, mailbox create, mailbox delete, mailbox metadata set | flow
mailbox metadata unset, mailbox rename, mailbox subscribe, mailbox unsubscribe, mailbox update, move | flow
purge, quota recalc, save, sieve activate, sieve deactivate, sieve delete, sieve put, sieve rename | flow
mail fs copy, mail fs delete, mail fs put, mail dict inc, mail dict set, mail dict unset | flow
acl get | table | id=ID global=Global:global rights=Rights
acl rights | table | rights=Rights
fts tokenize | flow | token!
mailbox list | flow | mailbox!
mailbox metadata get | flow | value!
mailbox metadata list | flow | key!
mailbox path | flow | path!
sieve get | pager | sieve~script
sieve list | flow | script! active!:active
mailbox cryptokey password | pager | result
mailbox cryptokey generate | table | success=~~ box=Folder pubid=Public~ID
mailbox cryptokey list | table | box=Folder active=Active pubid=Public~ID
mailbox cryptokey export | pager | box=Folder name=Public~ID error=Error key=Key
rebuild attachments | table | uid:number attachment
search | flow | mailbox-guid!:guid uid!:number
sync, backup | flow | state!
fts flatcurve remove, fts flatcurve rotate | flow | mailbox! guid
fts flatcurve check | flow | mailbox! guid errors:number shards:number
fts flatcurve stats | flow | mailbox! guid last_uid:number messages:number shards:number version:number
mailbox cache remove | table | mailbox uid:number result
mailbox cache decision | table | mailbox field decision last-used
quota get | table | root=Quota~name type=Type:quota value=Value> limit=Limit> percent=%>
fs get, mail fs get | pager | content!
fs stat, mail fs stat | formatted | path size# | %{path} size=%{size}
fs metadata, mail fs metadata | formatted | key value | %{key}=%{value}\\n
fs iter, fs iter-dirs, mail fs iter, mail fs iter-dirs | formatted | path | %{path}\\n
dict inc, dict set, dict unset, fs copy, fs delete, fs put, instance remove, log find, log reopen | flow
log test, reload, service stop, sis deduplicate, stats add, stats remove, stop | flow
director add, director down, director flush, director move, director remove, director ring add | flow
director ring remove, director up, director update, director kick, oldstats reset | flow
indexer add, indexer remove, stats reopen | flow
auth cache flush | formatted | entries:number | %{entries} cache entries flushed\\n
proxy kick | formatted | count:number | %{count} connections kicked\\n
instance list | table | path name last~used running:running
penalty | table | IP:address penalty:number last_penalty last_update
service status | pager | name process_count:number process_avail:number process_limit client_limit throttle_secs exit_failure_last \
exit_failures_in_sec last_drop_warning listen_pending listening doveadm_stop process_total:number
process status | table | name pid:number available_count total_count idle_start last_status_update last_kill_sent
sis find | flow | path!
indexer list | table | username mailbox session_id max_recent type status
replicator dsync-status | table | username type status
replicator add, replicator remove, replicator replicate | flow | result!
`;

const allFormats = ['table', 'flow', 'pager', 'tab', 'formatted'] as const;

export type ReplyFormat = (typeof allFormats)[number];

const fixed = new Map<string, ReplyShape>();
for (const line of fixedRows.trim().split('\n')) {
  const [names = '', word, columns = '', template] = line.split(' | ');
  const format = allFormats.find((one) => one === word);
  if (format === undefined) throw new Error(`reply rows of ${names}`);
  const shape = shapeOf(format, columns, template?.replaceAll('\\n', '\n'));
  for (const name of names.split(', ')) fixed.set(name, shape);
}
for (const { name } of ownCommands) fixed.set(name, shapeOf('tab', 'what value'));

export interface ReplyRows {
  /** The number of first cells that decide the rest; 0: the command alone does. A shorter reply decides with all its cells. */
  readonly decidedBy: number;
  /** Undefined: cells that no known release sends. */
  shapeFrom(firstCells: readonly string[]): ReplyShape | undefined;
}

/**
 * Whether a reply has a form in JSON (objects with names): its columns are known, or follow from its first cells, or it is JSON already.
 */
export function hasJsonForm(parsed: ParsedArguments): boolean {
  return parsed.command.name === 'user' || replyRows(parsed) !== undefined;
}

export interface RowsFrom {
  /** Undefined: any. */
  readonly server?: Server | undefined;
  /** The server hides the series of its backends. */
  readonly isOfAnySeries?: boolean;
  /** Each row begins with a user's name, which is none of the columns. */
  readonly hasUsers?: boolean;
}

/**
 * Undefined: unknown, or there are no rows (the JSON of `user`). The rows of a Dovecot newer than those known here are unknown too, unless
 * the command names its columns, has none, or has a column whose form shows that another one was added.
 */
export function replyRows(parsed: ParsedArguments, from: RowsFrom = {}): ReplyRows | undefined {
  const { server, isOfAnySeries = false, hasUsers = false } = from;
  const shapes = isOfAnySeries
    ? distinct(allSeries.toReversed().flatMap((series) => shapesOf({ ...parsed, series }, everyLate)))
    : shapesOf(parsed, server?.late ?? everyLate);
  const [newest] = shapes;
  if (newest === undefined) return undefined;
  const isNamed = namesColumns(parsed) || newest.columns.length === 0;
  const isSeen = shapes.every(({ columns }) => columns.some(({ form }) => form !== undefined));
  if (server?.isBeyond === true && !isNamed && !isSeen) return undefined;
  if (shapes.length === 1 && (isNamed || !isSeen)) return { decidedBy: 0, shapeFrom: () => newest };
  const before = hasUsers ? 1 : 0;
  const widthOf = ({ columns }: ReplyShape): number => columns.length + before;
  const decidedBy = 2 * Math.max(...shapes.map(widthOf));
  return {
    decidedBy,
    shapeFrom(cells) {
      const fit = shapes.filter((shape) =>
        cells.every((cell, at) => shape.columns[(at % widthOf(shape)) - before]?.form?.test(cell) !== false),
      );
      const isWhole = (shape: ReplyShape): boolean => cells.length % widthOf(shape) === 0;
      return (cells.length < decidedBy ? fit.find(isWhole) : undefined) ?? fit[0];
    },
  };
}

/** For the reply of a server that announced this minor (undefined: none). A dovegate hides the release of its backend. */
export function replyRowsAt(serverMinor: number | undefined, parsed: ParsedArguments): ReplyRows | undefined {
  const isHidden = serverMinor === undefined || serverMinor === minorForClients;
  return replyRows(parsed, isHidden ? { isOfAnySeries: true } : { server: serverOf(serverMinor) });
}

/** The form of the rows where the command alone decides it; undefined also where there are no rows. */
export function replyShape(parsed: ParsedArguments): ReplyShape | undefined {
  const [shape, ...others] = shapesOf(parsed, everyLate);
  return others.length === 0 ? shape : undefined;
}

/** The shapes for these possible sets of late columns. */
function shapesOf(parsed: ParsedArguments, late: readonly LateColumns[]): readonly ReplyShape[] {
  const { command } = parsed;
  const isSame = everyLate.every((one) => one[command.name] === undefined) || namesColumns(parsed);
  return distinct((isSame ? [{}] : late).flatMap((one) => shapeOfCommand(parsed, one) ?? []));
}

function distinct(shapes: readonly ReplyShape[]): readonly ReplyShape[] {
  const keyOf = ({ columns, template }: ReplyShape): string =>
    [template, ...columns.map(({ key }) => key)].join('\t');
  return shapes.filter((shape, at) => shapes.findIndex((other) => keyOf(other) === keyOf(shape)) === at);
}

const replicated = shapeOf(
  'table',
  'username priority fast~sync full~sync success~sync failed next~sync~secs:time',
);

function shapeOfCommand(parsed: ParsedArguments, late: LateColumns): ReplyShape | undefined {
  const { command, values, series } = parsed;
  const { name } = command;
  switch (name) {
    case 'fetch':
      return shapeWith('pager', (values.get('field') ?? []).map(plainColumn));
    case 'mailbox status':
      return statusShape(parsed, late[name] ?? []);
    case 'who':
      return whoShape(parsed);
    case 'proxy list':
      return series === '2.4' ? whoShape(parsed) : undefined;
    case 'kick':
      return series === '2.4' ? fixed.get('proxy kick') : shapeOf('flow', 'result!');
    case 'log errors': {
      const [between, form] = series === '2.4' ? ['', ':fraction'] : [': ', ''];
      const template = `%{timestamp} %{type}: %{prefix}${between}%{text}\n`;
      return shapeOf('formatted', `timestamp${form} prefix type text`, template);
    }
    case 'dict iter': {
      // A key begins with the prefix that was asked for. A dictionary may have several values for it, and their number is unknown here.
      const prefix = values.get('prefix')?.[0] ?? '';
      const key = { ...plainColumn('key'), form: new RegExp(`^${prefix.replace(/\W/g, '\\$&')}`) };
      return shapeWith('tab', values.has('no-value') ? [key] : [key, plainColumn('value')]);
    }
    case 'replicator status':
      if (!values.has('user-mask')) return shapeOf('table', 'field! value!');
      return withoutLate(replicated, name, late);
    case 'stats dump': {
      const fields = values.get('fields')?.[0] ?? 'count sum min max avg median stddev %95';
      const names = fields.split(/[, ]+/).filter(Boolean);
      const numbers = names.map((each) => ({ ...plainColumn(each), isNumber: true }));
      return shapeWith('tab', [plainColumn('metric_name'), plainColumn('field'), ...numbers]);
    }
    default: {
      const shape = fixed.get(name);
      return shape && series === '2.3' ? withoutLate(shape, name, late) : shape;
    }
  }
}

function withoutLate(shape: ReplyShape, name: string, late: LateColumns): ReplyShape {
  const lacking = everyLate[0]?.[name]?.filter((key) => late[name]?.includes(key) !== true) ?? [];
  return { ...shape, columns: shape.columns.filter(({ key }) => !lacking.includes(key)) };
}

/** Whether the command line names the columns. `mailbox status all` does not: it shows the fields that the release has. */
function namesColumns({ command, values }: ParsedArguments): boolean {
  if (command.name !== 'mailbox status') return command.name === 'fetch' || command.name === 'stats dump';
  return values.has('total-sum') || values.get('field')?.includes('all') !== true;
}

function shapeWith(format: ReplyFormat, columns: readonly ReplyColumn[]): ReplyShape {
  return { format, template: undefined, columns };
}

/** A column named on the command line; the name may contain any of the marks. */
function plainColumn(name: string): ReplyColumn {
  return {
    key: name,
    title: name,
    isTitleHidden: false,
    isRightAligned: false,
    isNumber: false,
    form: undefined,
  };
}

function whoShape({ values, series }: ParsedArguments): ReplyShape {
  const service = series === '2.3' ? 'service=proto' : 'service';
  if (!values.has('separate-connections'))
    return shapeOf('table', `username connections=#>:number ${service} pids=(pids):list ips=(ips):list`);
  // 2.4 adds a column for each kind of other user names that its logins have.
  return shapeOf(
    'table',
    `username ${service} pid:number ip:address${series === '2.4' ? ' dest_ip:address' : ''}`,
  );
}

/** `late`: the late fields that `all` shows. */
function statusShape({ values }: ParsedArguments, late: readonly string[]): ReplyShape {
  const isTotal = values.has('total-sum');
  const ofAll = isTotal
    ? statusTotals
    : statusFields.filter((field) => !lateFields.has(field) || late.includes(field));
  const shown = new Set((values.get('field') ?? []).flatMap((field) => (field === 'all' ? ofAll : [field])));
  const fields = statusFields
    .filter((field) => shown.has(field))
    .map((field) => ({ ...plainColumn(field), form: field === 'guid' ? forms['guid'] : undefined }));
  // A sum has no mailbox in front.
  const columns = isTotal ? fields : [{ ...plainColumn('mailbox'), isTitleHidden: true }, ...fields];
  return shapeWith('flow', columns);
}
