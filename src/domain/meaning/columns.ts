// The rows of a reply: how many cells each has, what the columns are called, and in which format the real program prints them. None
// of that is on the wire, where replies have neither row marks nor names: whoever reads a reply must know.
import type { Series } from '../commands/catalog.js';
import { statusFields, statusTotals } from '../commands/catalog.js';
import type { ParsedArguments } from '../commands/parse.js';

/** One column, as the real program prints it. */
export interface ReplyColumn {
  /** The name in JSON. */
  readonly key: string;
  /** The name elsewhere. */
  readonly title: string;
  /** Formats that put the name beside each value leave it out. */
  readonly isTitleHidden: boolean;
  readonly isRightAligned: boolean;
  /** Takes the room that a table has left; else the last column does. */
  readonly isExpanding: boolean;
  /** Always a number, also in JSON. */
  readonly isNumber: boolean;
}

/** The format that a command is printed in when nobody asks for another; `formatted`: by its template. */
export type ReplyFormat = 'table' | 'flow' | 'pager' | 'tab' | 'formatted';

/** What the rows of a reply look like. */
export interface ReplyShape {
  readonly format: ReplyFormat;
  /** Of `formatted`: text with `%{key}` for values. */
  readonly template: string | undefined;
  /** Empty: there are no rows. */
  readonly columns: readonly ReplyColumn[];
}

/** Commands whose rows are always the same; by series where they differ. */
const fixed: Readonly<Record<Series, Map<string, ReplyShape>>> = { '2.3': new Map(), '2.4': new Map() };

/**
 * Columns as words: KEY or KEY=TITLE, `!` behind it for a hidden title, `>` for right aligned, `+` for expanding, `#` for a number;
 * `~` stands for a blank. From doveadm_print_header() in Dovecot's sources, 2.3.0 to 2.4.5 and Pigeonhole's; seen on
 * servers for those of the core.
 */
function columnOf(word: string): ReplyColumn {
  const [, key = '', title, marks = ''] = /^([^=]+?)(?:=(.+?))?([!>+#]*)$/.exec(word) ?? [];
  return Object.freeze({
    key: key.replaceAll('~', ' '),
    title: (title ?? key).replaceAll('~', ' '),
    isTitleHidden: marks.includes('!'),
    isRightAligned: marks.includes('>'),
    isExpanding: marks.includes('+'),
    isNumber: marks.includes('#'),
  });
}

/** A shape from words; see `columnOf`. */
export function shapeOf(format: ReplyFormat, words: string, template?: string): ReplyShape {
  return Object.freeze({ format, template, columns: words.split(' ').filter(Boolean).map(columnOf) });
}

const both: readonly Series[] = ['2.3', '2.4'];
function rows(shape: ReplyShape, names: string, series: readonly Series[] = both): void {
  for (const one of series) for (const name of names.split(', ')) fixed[one].set(name, shape);
}

const nothing = shapeOf('flow', '');
rows(
  nothing,
  'acl add, acl debug, acl delete, acl recalc, acl remove, acl set, altmove, copy, deduplicate, expunge',
);
rows(
  nothing,
  'flags add, flags remove, flags replace, force-resync, fts expand, fts lookup, fts optimize, fts rescan',
);
rows(nothing, 'import, index, mailbox cache purge, mailbox create, mailbox delete, mailbox metadata set');
rows(
  nothing,
  'mailbox metadata unset, mailbox rename, mailbox subscribe, mailbox unsubscribe, mailbox update, move',
);
rows(nothing, 'purge, quota recalc, save, sieve activate, sieve deactivate, sieve delete, sieve put');
rows(nothing, 'sieve rename, mail fs copy, mail fs delete, mail fs put, mail dict inc, mail dict set');
rows(nothing, 'mail dict unset');
rows(shapeOf('table', 'id=ID global=Global rights=Rights'), 'acl get');
rows(shapeOf('table', 'rights=Rights'), 'acl rights');
rows(shapeOf('flow', 'token!'), 'fts tokenize');
rows(shapeOf('flow', 'mailbox!'), 'mailbox list');
rows(shapeOf('flow', 'value!'), 'mailbox metadata get');
rows(shapeOf('flow', 'key!'), 'mailbox metadata list');
rows(shapeOf('flow', 'path!'), 'mailbox path');
rows(shapeOf('pager', 'sieve~script'), 'sieve get');
rows(shapeOf('flow', 'script! active!'), 'sieve list');
rows(shapeOf('pager', 'result'), 'mailbox cryptokey password');
rows(shapeOf('table', 'success=~~ box=Folder pubid=Public~ID'), 'mailbox cryptokey generate');
rows(shapeOf('table', 'box=Folder active=Active pubid=Public~ID'), 'mailbox cryptokey list');
rows(shapeOf('pager', 'box=Folder name=Public~ID error=Error key=Key'), 'mailbox cryptokey export');
rows(shapeOf('table', 'uid attachment'), 'rebuild attachments');
rows(shapeOf('flow', 'mailbox-guid! uid!'), 'search');
rows(shapeOf('flow', 'mailbox! guid'), 'fts flatcurve remove, fts flatcurve rotate');
rows(shapeOf('flow', 'mailbox! guid errors shards'), 'fts flatcurve check');
rows(shapeOf('flow', 'mailbox! guid last_uid messages shards version'), 'fts flatcurve stats');
rows(shapeOf('table', 'mailbox uid result'), 'mailbox cache remove');
rows(shapeOf('table', 'mailbox field decision last-used'), 'mailbox cache decision');
rows(shapeOf('table', 'root=Quota~name type=Type value=Value> limit=Limit> percent=%>'), 'quota get');
rows(shapeOf('pager', 'content!'), 'fs get, mail fs get');
rows(shapeOf('formatted', 'path size#', '%{path} size=%{size}'), 'fs stat, mail fs stat');
rows(shapeOf('formatted', 'key value', '%{key}=%{value}\n'), 'fs metadata, mail fs metadata');
rows(shapeOf('formatted', 'path', '%{path}\n'), 'fs iter, fs iter-dirs, mail fs iter, mail fs iter-dirs');

// Commands that name no mailbox user.
rows(nothing, 'dict inc, dict set, dict unset, fs copy, fs delete, fs put, instance remove, log find');
rows(nothing, 'log reopen, log test, reload, service stop, sis deduplicate, stats add, stats remove, stop');
rows(nothing, 'director add, director down, director flush, director move, director remove', ['2.3']);
rows(nothing, 'director ring add, director ring remove, director up, director update, oldstats reset', [
  '2.3',
]);
rows(shapeOf('formatted', 'entries', '%{entries} cache entries flushed\n'), 'auth cache flush');
rows(shapeOf('formatted', 'result', '%{result} '), 'kick', ['2.3']);
rows(shapeOf('formatted', 'count', '%{count} connections kicked\n'), 'kick', ['2.4']);
rows(shapeOf('formatted', 'count', '%{count} connections kicked\n'), 'proxy kick');
const logged = 'timestamp prefix type text';
rows(shapeOf('formatted', logged, '%{timestamp} %{type}: %{prefix}: %{text}\n'), 'log errors', ['2.3']);
rows(shapeOf('formatted', logged, '%{timestamp} %{type}: %{prefix}%{text}\n'), 'log errors', ['2.4']);
rows(shapeOf('table', 'path+ name last~used running'), 'instance list');
rows(shapeOf('table', 'IP penalty last_penalty last_update'), 'penalty');
rows(
  shapeOf(
    'pager',
    'name process_count process_avail process_limit client_limit throttle_secs exit_failure_last exit_failures_in_sec last_drop_warning listen_pending listening doveadm_stop process_total',
  ),
  'service status',
);
rows(
  shapeOf('table', 'name pid available_count total_count idle_start last_status_update last_kill_sent'),
  'process status',
);
rows(shapeOf('flow', 'path!'), 'sis find');
rows(shapeOf('table', 'username mailbox session_id max_recent type status'), 'indexer list', ['2.4']);
rows(shapeOf('table', 'username+ type status'), 'replicator dsync-status', ['2.3']);
rows(shapeOf('flow', 'result!'), 'replicator add, replicator remove, replicator replicate', ['2.3']);

// Answered by dovegate itself.
rows(shapeOf('tab', 'what value'), 'dovegate can, dovegate explain');

/** The minor of the protocol that came with `deleted` among the fields of `mailbox status` (2.4.5). */
const minorWithDeleted = 4;

/**
 * Cells of a row of the reply of a mail command, without a username cell. 0: there are no rows. Undefined: not known, not
 * rows, or not a mail command.
 *
 * @param serverMinor what the backend announced; undefined when it is not known yet
 */
export function replyCells(parsed: ParsedArguments, serverMinor: number | undefined): number | undefined {
  if (parsed.command.scope === 'server') return undefined;
  return replyShape(parsed, serverMinor)?.columns.length;
}

/** What the rows look like; undefined where that is not known, or where there are none (the JSON of `user`). */
export function replyShape(parsed: ParsedArguments, serverMinor: number | undefined): ReplyShape | undefined {
  const { command, values, series } = parsed;
  switch (command.name) {
    case 'fetch':
      return { format: 'pager', template: undefined, columns: (values.get('field') ?? []).map(plainColumn) };
    case 'mailbox status': {
      const fields = statusColumns(parsed, serverMinor);
      return fields && { format: 'flow', template: undefined, columns: fields };
    }
    case 'who':
      return whoShape(parsed);
    case 'proxy list':
      return series === '2.4' ? whoShape(parsed) : undefined;
    case 'dict iter':
      return shapeOf('tab', parsed.hasOption('no-value') ? 'key' : 'key value');
    case 'replicator status':
      return values.has('user-mask')
        ? shapeOf('table', 'username+ priority fast~sync full~sync success~sync failed')
        : shapeOf('table', 'field! value!');
    case 'stats dump': {
      const fields = values.get('fields')?.[0] ?? 'count sum min max avg median stddev %95';
      const names = fields.split(/[, ]+/).filter(Boolean);
      const numbers = names.map((name) => ({ ...plainColumn(name), isNumber: true }));
      return {
        format: 'tab',
        template: undefined,
        columns: [...['metric_name', 'field'].map(plainColumn), ...numbers],
      };
    }
    default:
      return fixed[series].get(command.name);
  }
}

function plainColumn(name: string): ReplyColumn {
  return {
    key: name,
    title: name,
    isTitleHidden: false,
    isRightAligned: false,
    isExpanding: false,
    isNumber: false,
  };
}

function whoShape(parsed: ParsedArguments): ReplyShape {
  const { series } = parsed;
  const service = series === '2.3' ? 'service=proto' : 'service';
  if (!parsed.hasOption('separate-connections'))
    return shapeOf('table', `username connections=#> ${service} pids=(pids) ips=(ips)`);
  return shapeOf('table', `username+ ${service} pid ip${series === '2.4' ? ' dest_ip' : ''}`);
}

function statusColumns(
  parsed: ParsedArguments,
  serverMinor: number | undefined,
): readonly ReplyColumn[] | undefined {
  const isTotal = parsed.hasOption('total-sum');
  const shown = new Set<string>();
  for (const field of parsed.values.get('field') ?? []) {
    if (field !== 'all') {
      shown.add(field);
      continue;
    }
    for (const one of isTotal ? statusTotals : statusFields) if (one !== 'deleted') shown.add(one);
    if (isTotal || parsed.series === '2.3') continue;
    if (serverMinor === undefined) return undefined;
    if (serverMinor >= minorWithDeleted) shown.add('deleted');
  }
  const fields = statusFields.filter((field) => shown.has(field)).map(plainColumn);
  // A sum has no mailbox in front.
  return isTotal ? fields : [{ ...plainColumn('mailbox'), isTitleHidden: true }, ...fields];
}
