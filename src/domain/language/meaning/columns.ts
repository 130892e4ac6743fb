// The rows of a reply: the number of their cells, the names of the columns, and the real program's output format. The wire has no row marks
// and no names, so a reader of a reply needs this table.
import { lateFieldSets, lateFields } from '../../../protocol/releases.js';
import { ownCommands, statusFields, statusTotals } from '../commands/catalog.js';
import type { ParsedArguments } from '../commands/parse.js';

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
}

export interface ReplyShape {
  readonly format: ReplyFormat;
  /** For `formatted`: text with `%{key}` for values. */
  readonly template: string | undefined;
  /** Empty: there are no rows. */
  readonly columns: readonly ReplyColumn[];
}

/**
 * Columns as words: KEY or KEY=TITLE, `!` after it for a hidden title, `>` for right aligned, `#` for a number; `~` stands for a blank.
 * From doveadm_print_header() in Dovecot's sources, 2.3.0 to 2.4.5 and Pigeonhole's; seen on servers for those of the core.
 */
function columnOf(word: string): ReplyColumn {
  const [, key = '', title, marks = ''] = /^([^=]+?)(?:=(.+?))?([!>#]*)$/.exec(word) ?? [];
  return Object.freeze({
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
acl get | table | id=ID global=Global rights=Rights
acl rights | table | rights=Rights
fts tokenize | flow | token!
mailbox list | flow | mailbox!
mailbox metadata get | flow | value!
mailbox metadata list | flow | key!
mailbox path | flow | path!
sieve get | pager | sieve~script
sieve list | flow | script! active!
mailbox cryptokey password | pager | result
mailbox cryptokey generate | table | success=~~ box=Folder pubid=Public~ID
mailbox cryptokey list | table | box=Folder active=Active pubid=Public~ID
mailbox cryptokey export | pager | box=Folder name=Public~ID error=Error key=Key
rebuild attachments | table | uid attachment
search | flow | mailbox-guid! uid!
sync, backup | flow | state!
fts flatcurve remove, fts flatcurve rotate | flow | mailbox! guid
fts flatcurve check | flow | mailbox! guid errors shards
fts flatcurve stats | flow | mailbox! guid last_uid messages shards version
mailbox cache remove | table | mailbox uid result
mailbox cache decision | table | mailbox field decision last-used
quota get | table | root=Quota~name type=Type value=Value> limit=Limit> percent=%>
fs get, mail fs get | pager | content!
fs stat, mail fs stat | formatted | path size# | %{path} size=%{size}
fs metadata, mail fs metadata | formatted | key value | %{key}=%{value}\\n
fs iter, fs iter-dirs, mail fs iter, mail fs iter-dirs | formatted | path | %{path}\\n
dict inc, dict set, dict unset, fs copy, fs delete, fs put, instance remove, log find, log reopen | flow
log test, reload, service stop, sis deduplicate, stats add, stats remove, stop | flow
director add, director down, director flush, director move, director remove, director ring add | flow
director ring remove, director up, director update, director kick, oldstats reset | flow
indexer add, indexer remove, stats reopen | flow
auth cache flush | formatted | entries | %{entries} cache entries flushed\\n
proxy kick | formatted | count | %{count} connections kicked\\n
instance list | table | path name last~used running
penalty | table | IP penalty last_penalty last_update
service status | pager | name process_count process_avail process_limit client_limit throttle_secs exit_failure_last \
exit_failures_in_sec last_drop_warning listen_pending listening doveadm_stop process_total
process status | table | name pid available_count total_count idle_start last_status_update last_kill_sent
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
 * Whether a reply has a form in JSON, where rows are objects with names: its columns are known, or are with its first cells, or it is JSON
 * already.
 */
export function hasJsonForm(parsed: ParsedArguments): boolean {
  return parsed.command.name === 'user' || replyRows(parsed) !== undefined;
}

/** Undefined: unknown, or there are no rows (the JSON of `user`). */
export function replyRows(parsed: ParsedArguments): ReplyRows | undefined {
  const shape = replyShape(parsed);
  return shape === undefined ? statusOfAll(parsed) : { decidedBy: 0, shapeFrom: () => shape };
}

/** The form of the rows where the command alone decides it; undefined also where there are no rows. */
export function replyShape(parsed: ParsedArguments): ReplyShape | undefined {
  const { command, values, series } = parsed;
  switch (command.name) {
    case 'fetch':
      return shapeWith('pager', (values.get('field') ?? []).map(plainColumn));
    case 'mailbox status': {
      return isOfAll(parsed) ? undefined : statusShape(parsed, []);
    }
    case 'who':
      return whoShape(parsed);
    case 'proxy list':
      return series === '2.4' ? whoShape(parsed) : undefined;
    case 'kick':
      return series === '2.4' ? fixed.get('proxy kick') : shapeOf('flow', 'result!');
    case 'log errors': {
      const between = series === '2.4' ? '' : ': ';
      const template = `%{timestamp} %{type}: %{prefix}${between}%{text}\n`;
      return shapeOf('formatted', 'timestamp prefix type text', template);
    }
    case 'dict iter':
      return shapeOf('tab', values.has('no-value') ? 'key' : 'key value');
    case 'replicator status':
      return values.has('user-mask')
        ? shapeOf('table', 'username priority fast~sync full~sync success~sync failed')
        : shapeOf('table', 'field! value!');
    case 'stats dump': {
      const fields = values.get('fields')?.[0] ?? 'count sum min max avg median stddev %95';
      const names = fields.split(/[, ]+/).filter(Boolean);
      const numbers = names.map((name) => ({ ...plainColumn(name), isNumber: true }));
      return shapeWith('tab', [plainColumn('metric_name'), plainColumn('field'), ...numbers]);
    }
    default:
      return fixed.get(command.name);
  }
}

/** `mailbox status all` shows the fields that the release has, and the announced minor does not say which release it is. */
function isOfAll({ command, values }: ParsedArguments): boolean {
  const isStatus = command.name === 'mailbox status' && !values.has('total-sum');
  return isStatus && values.get('field')?.includes('all') === true;
}

const guid = /^[0-9a-f]{32}$/;

/** The place of the GUID in the first row shows which fields stand before it. */
function statusOfAll(parsed: ParsedArguments): ReplyRows | undefined {
  if (!isOfAll(parsed)) return undefined;
  const shapes = lateFieldSets.map((late) => statusShape(parsed, late));
  const places = shapes.map(({ columns }) => columns.findIndex(({ key }) => key === 'guid'));
  return {
    decidedBy: Math.max(...places) + 1,
    shapeFrom: (cells) =>
      cells.length === 0 ? shapes[0] : shapes.find((_, at) => guid.test(cells[places[at] ?? -1] ?? '')),
  };
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
  };
}

function whoShape({ values, series }: ParsedArguments): ReplyShape {
  const service = series === '2.3' ? 'service=proto' : 'service';
  if (!values.has('separate-connections'))
    return shapeOf('table', `username connections=#> ${service} pids=(pids) ips=(ips)`);
  return shapeOf('table', `username ${service} pid ip${series === '2.4' ? ' dest_ip' : ''}`);
}

/** `late`: the late fields that `all` shows. */
function statusShape({ values }: ParsedArguments, late: readonly string[]): ReplyShape {
  const isTotal = values.has('total-sum');
  const ofAll = isTotal
    ? statusTotals
    : statusFields.filter((field) => !lateFields.has(field) || late.includes(field));
  const shown = new Set((values.get('field') ?? []).flatMap((field) => (field === 'all' ? ofAll : [field])));
  const fields = statusFields.filter((field) => shown.has(field)).map(plainColumn);
  // A sum has no mailbox in front.
  const columns = isTotal ? fields : [{ ...plainColumn('mailbox'), isTitleHidden: true }, ...fields];
  return shapeWith('flow', columns);
}
