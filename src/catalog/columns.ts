// How many cells a row of a reply has. Replies have no row marks, so whoever puts a cell in front of each row must know; the
// number depends on the command, its arguments and the release. Of commands of scope server those are here whose rows were seen on
// 2.3.19.1 and 2.4.1: rows of several backends can be joined then.
import { statusFields, statusTotals } from './fetch-fields.js';
import type { ParsedArguments } from './parse.js';

/**
 * Commands whose rows are always the same, by cells: counted in Dovecot's sources from 2.3.0 to 2.4.5, and seen on servers for those
 * of the core. Nothing is printed by those with 0.
 */
const fixed = new Map<string, number>();
const rows = (cells: number, names: string): void => {
  for (const name of names.split(', ')) fixed.set(name, cells);
};
rows(
  0,
  'acl add, acl debug, acl delete, acl recalc, acl remove, acl set, altmove, copy, deduplicate, expunge',
);
rows(
  0,
  'flags add, flags remove, flags replace, force-resync, fts expand, fts lookup, fts optimize, fts rescan',
);
rows(0, 'import, index, mailbox cache purge, mailbox create, mailbox delete, mailbox metadata set');
rows(
  0,
  'mailbox metadata unset, mailbox rename, mailbox subscribe, mailbox unsubscribe, mailbox update, move',
);
rows(0, 'purge, quota recalc, save, sieve activate, sieve deactivate, sieve delete, sieve put, sieve rename');
rows(0, 'mail fs copy, mail fs delete, mail fs put, mail dict inc, mail dict set, mail dict unset');
rows(
  1,
  'acl rights, fts tokenize, mailbox list, mailbox metadata get, mailbox metadata list, mailbox path, sieve get',
);
rows(1, 'mailbox cryptokey password, mail fs get, mail fs iter, mail fs iter-dirs');
rows(2, 'rebuild attachments, search, sieve list, mail fs metadata, mail fs stat');
rows(2, 'fts flatcurve remove, fts flatcurve rotate');
rows(3, 'acl get, mailbox cache remove, mailbox cryptokey generate, mailbox cryptokey list');
rows(4, 'mailbox cache decision, mailbox cryptokey export, fts flatcurve check');
rows(5, 'quota get');
rows(6, 'fts flatcurve stats');
rows(1, 'kick, auth cache flush');
rows(4, 'instance list, log errors');
rows(7, 'process status');
rows(13, 'service status');

/** The minor of the protocol that came with `deleted` among the fields of `mailbox status` (2.4.5). */
const minorWithDeleted = 4;

/**
 * Cells of a row of the reply, without a username cell. 0: there are no rows. Undefined: not known, or not rows.
 *
 * @param serverMinor what the backend announced; undefined when it is not known yet
 */
export function replyCells(parsed: ParsedArguments, serverMinor: number | undefined): number | undefined {
  const { name } = parsed.command;
  if (name === 'fetch') return parsed.values.get('field')?.length;
  if (name === 'mailbox status') return statusCells(parsed, serverMinor);
  // A row a connection has no count, and its process and address alone; 2.4 has a cell more.
  if (name === 'who') return parsed.hasOption('separate-connections') && parsed.series === '2.3' ? 4 : 5;
  return fixed.get(name);
}

function statusCells(parsed: ParsedArguments, serverMinor: number | undefined): number | undefined {
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
  // A sum has no mailbox in front.
  return shown.size + (isTotal ? 0 : 1);
}
