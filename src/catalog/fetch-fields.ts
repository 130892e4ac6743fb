// The words that list parameters take: fields of `fetch` and of `mailbox status`, mail flags, rights. Which of them show what a mail
// says, and how many there are in `all`. An unknown one ends the server's process without a status, so it is refused here.
import type { Command } from './catalog.js';
import { type Unparsable, unparsable } from './getopt.js';
import { type Series, toLowerAscii } from './series.js';

const plainFields = new Set(
  ['user mailbox mailbox-guid seq uid guid flags modseq size.physical size.virtual']
    .concat(
      'date.received date.sent date.saved date.received.unixtime date.sent.unixtime date.saved.unixtime',
    )
    .concat('pop3.uidl pop3.order refcount storageid')
    .flatMap((names) => names.split(' ')),
);
const contentFields = new Set(
  ['hdr body body.preview body.snippet text text.utf8']
    .concat('imap.envelope imap.body imap.bodystructure')
    .flatMap((names) => names.split(' ')),
);
const headerFilters = new Set(['utf8', 'address', 'address_name', 'address_name.utf8']);

/** `plain`: tells of the mail as an object. `content`: shows text, headers, addresses or structure. */
export type FetchFieldClass = 'plain' | 'content';

/** The class of a field of `fetch`, in lower case; undefined for one that the series does not have. */
export function fetchFieldClass(series: Series, field: string): FetchFieldClass | undefined {
  if (plainFields.has(field)) return 'plain';
  if (contentFields.has(field) || (series === '2.4' && field === 'mime.parts')) return 'content';
  const header = /^hdr\.([!-\-/-9;-~]+)(?:\.(.+))?$/.exec(field);
  if (header !== null) return header[2] === undefined || headerFilters.has(header[2]) ? 'content' : undefined;
  const part = /^(?:body|binary)\.(?:\d+(?:\.\d+)*(?:\.(?:mime|header|text))?|header|text)$/;
  return part.test(field) ? 'content' : undefined;
}

/** The fields of `mailbox status` in the order of the cells; `deleted` came with 2.4.5. */
export const statusFields = [
  'messages',
  'recent',
  'deleted',
  'uidnext',
  'uidvalidity',
  'unseen',
  'highestmodseq',
  'vsize',
  'guid',
  'firstsaved',
] as const;

/** Those that can be summed up with `-t`. */
export const statusTotals: readonly string[] = ['messages', 'recent', 'unseen', 'vsize'];

const systemFlags = ['Answered', 'Flagged', 'Deleted', 'Seen', 'Draft', 'Recent'].map((name) => `\\${name}`);

/** A system flag as servers write it, whatever its case; other words, and keywords, as they are. */
export function foldFlag(flag: string): string {
  return systemFlags.find((one) => toLowerAscii(one) === toLowerAscii(flag)) ?? flag;
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
    const known: readonly string[] = values.has('total-sum') ? statusTotals : statusFields;
    const isUnknown = (field: string): boolean =>
      field !== 'all' && (!known.includes(field) || (field === 'deleted' && series === '2.3'));
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
    refuseIf(command, 'id', !aclSubjects.test(id)) ??
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
