// Whether the argument records of an admission are whole and in their order.

import { createHash } from 'node:crypto';
import { parseLine } from '../../host/values/values.js';
import { type Link, readBody } from './ledger.js';
import { readWord } from './record.js';
import { argumentCount } from './stored.js';

interface ArgumentsFault {
  readonly seq: number;
  readonly text: string;
}

/** Records that may come between an admission and its argument records: the journal makes them when it writes a group. */
const between: ReadonlySet<string> = new Set(['checkpoint', 'retire', 'access', 'lock']);
/** Records of a start before its own record. */
const ofStart: ReadonlySet<string> = new Set(['clock', 'completion']);

/** Follows a journal, record by record; memory holds one admission. */
export function createArgumentsCheck() {
  let open:
    | { readonly seq: number; readonly id: string; readonly announced: string; left: number }
    | undefined;
  let digest = createHash('sha256');
  /** The records after an admission are missing, which only a start explains. */
  let isBroken = false;
  let isFirst = true;

  return {
    /** The next record, with a right chain. `line`: without LF. */
    take(event: string, line: Buffer, link: Link): ArgumentsFault | undefined {
      const wasFirst = isFirst;
      if (!between.has(event) && event !== 'arguments') isFirst = false;
      if (event === 'arguments') return takeArguments(line, link, wasFirst);
      const fault = open === undefined || between.has(event) ? undefined : interrupt(event);
      if (event === 'admission') begin(line, link.seq);
      return fault;
    },
    /** Records are missing here, which is a separate fault. */
    forget(): void {
      open = undefined;
      isBroken = false;
      isFirst = true;
    },
  };

  function begin(line: Buffer, seq: number): void {
    if (!line.includes(countText)) return;
    const record = parseLine(line.toString('utf8')) ?? {};
    const left = argumentCount(record);
    if (left === 0) return;
    open = { seq, id: String(record['id']), announced: String(record['argument_hash']), left };
    digest = createHash('sha256');
  }

  function takeArguments(line: Buffer, link: Link, wasFirst: boolean): ArgumentsFault | undefined {
    const { seq } = link;
    const id = readWord(line.toString('latin1'), 'id');
    if (open === undefined || isBroken || open.id !== id) {
      // The admission may have been removed by retention, or be before the start of a partial reading.
      if (open === undefined && wasFirst) return undefined;
      return { seq, text: 'argument records that no admission before them announced' };
    }
    digest.update(readBody(line, link)).update('\n');
    open.left -= 1;
    if (open.left > 0) return undefined;
    const { announced, seq: admission } = open;
    open = undefined;
    if (digest.digest('hex') === announced) return undefined;
    return { seq, text: `the argument records are not those that the admission ${admission} announced` };
  }

  /** Another record in place of argument records. */
  function interrupt(event: string): ArgumentsFault | undefined {
    // The machine stopped while they were written: commands without their record on disk were not sent, or are among those that the start
    // reports as lost.
    isBroken = true;
    if (ofStart.has(event)) return undefined;
    const missing = open;
    open = undefined;
    isBroken = false;
    if (event === 'start' || missing === undefined) return undefined;
    const { seq, left } = missing;
    const what = left === 1 ? '1 argument record' : `${left} argument records`;
    return { seq, text: `${what} of the admission ${seq} ${left === 1 ? 'is' : 'are'} missing` };
  }
}

const countText = Buffer.from(',"argument_records":');
