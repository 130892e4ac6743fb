// Copies of the time stamps that gates send, beside their journals in the mirror: `journals/HOST/stamps/DATE.tsr` and `DATE.jsonl`. What
// was stamped is named there for ever, whatever becomes of the gate and its folder. A gate may be in the hands of a forger: a stamp is kept
// only if it is right, of a record that the mirror has, and of its day; what is there already is never replaced. Its day is that of its own
// time, so no name comes from a gate. A stamp counts as one of an authority only if the settings name one.

import { basename, join } from 'node:path';
import { makeInner, writeWhole } from '../../adapters/journal/segments.js';
import { hasStamp, stampDays, storeStamp } from '../../adapters/stamps/stamp-folder.js';
import { bounds } from '../../bounds/bounds.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { formatTime } from '../../domain/records/audit/record.js';
import {
  readStampBytes,
  readStampsSubject,
  readSubject,
  subjectOf,
} from '../../domain/records/fleet/block.js';
import type { FleetFinding, FleetMessage } from '../../domain/records/fleet/shapes.js';
import type { Certificate } from '../../domain/records/stamps/certificate.js';
import { StampFault } from '../../domain/records/stamps/fault.js';
import { checkStamp, stampDay, whyOddTime } from '../../domain/records/stamps/stamp.js';
import { messageOf } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { readAuthorityFile, readStampedLine } from '../audit/audit-stamps.js';
import { mirrorIn, stampsIn } from '../audit/fleet-places.js';
import { CommandFault } from '../output/output.js';
import { findRecord } from './cells-verify.js';
import { groupOf, type Mirror } from './mirror.js';

/** What a gate may send at a day: what its ship sends of an earlier time, twice. */
const messagesMax = 2 * bounds.fleetStamps;
/** The line and the answer. */
const bytesMax = 2 * bounds.stampAnswerBytes;
const dayMs = 86_400_000;

export interface StampCopies {
  /** Findings about a message of a host's stream; undefined: it is no stamp. Rejects with a CommandFault. */
  take(message: FleetMessage, host: string): Promise<readonly FleetFinding[] | undefined>;
  /** By host, the day of its newest stamp, at its beginning. Rejects with a CommandFault. */
  lastMs(): Promise<ReadonlyMap<string, number>>;
  /** The streams are read again from their beginning. */
  rewind(): void;
}

/** For the process that has the state. */
export function openStampCopies(
  { state, hosts, stamps: settings }: Pick<FleetSettings, 'state' | 'hosts' | 'stamps'>,
  mirror: Pick<Mirror, 'endOf' | 'isFull'>,
): StampCopies {
  const root = mirrorIn(state);
  /** By host, as far as it was looked at. */
  const newest = new Map<string, string | undefined>();
  /** By host: messages of one day by the server's clock. */
  const taken = new Map<string, { readonly day: string; readonly count: number }>();
  let authority: readonly Certificate[] | undefined;

  return {
    async take(message, host) {
      if (readStampsSubject(message.subject) !== host) return undefined;
      const day = stampDay(message.storedMs);
      const before = taken.get(host);
      const count = before?.day === day ? before.count + 1 : 1;
      taken.set(host, { day, count });
      if (count > messagesMax + 1) return [];
      const time = formatTime(message.storedMs);
      const finding = (text: string, of: Partial<FleetFinding> = {}): readonly FleetFinding[] => [
        { kind: 'stamp', host, ...of, time, text },
      ];
      if (count > messagesMax)
        return finding(
          `more than ${messagesMax} time stamps came of it at ${day}: the others were not looked at; look who sends as this host`,
        );
      try {
        await keep(message, host);
        return [];
      } catch (fault) {
        if (fault instanceof StampFault)
          return finding(`a time stamp that came of it is not kept: ${fault.message}; ${fault.ask}`);
        if (fault instanceof Misfit) return finding(fault.message, fault.of);
        throw fault;
      }
    },
    async lastMs() {
      const last = new Map<string, number>();
      for (const host of hosts.keys()) {
        if (!newest.has(host))
          newest.set(host, (await attempt(() => stampDays(stampsIn(root, host)))).at(-1));
        const day = newest.get(host);
        if (day !== undefined) last.set(host, Date.parse(day));
      }
      return last;
    },
    rewind: () => taken.clear(),
  };

  /** Throws a StampFault or a Misfit. */
  async function keep({ bytes, storedMs }: FleetMessage, host: string): Promise<void> {
    const parts = bytes.length > bytesMax ? undefined : readStampBytes(bytes);
    if (parts === undefined) throw new StampFault('malformed');
    authority ??= settings && authorityIn(settings.authorityFile);
    const stamp = checkStamp(parts.answer, parts.line, authority);
    const line = readStampedLine(parts.line.toString('utf8').trimEnd());
    if (line === undefined) throw new StampFault('other-bytes', 'no signed checkpoint');
    const odd = whyOddTime(stamp, line.timeMs, undefined);
    if (odd !== undefined) throw new StampFault(odd);
    const { journal, seq, hash } = line;
    // It becomes part of a path.
    if (journal === undefined || readSubject(subjectOf(host, journal)) === undefined)
      throw new StampFault('other-bytes', 'no id of a journal');
    const misfit = (text: string): Misfit => new Misfit(text, { journal, seq });
    const day = stampDay(stamp.timeMs);
    if (stamp.timeMs - stamp.accuracyMs > storedMs + bounds.stampSkewMs)
      throw misfit(
        `the time of its stamp over record ${seq} had not come when it was sent: the clock of the authority is wrong, or that of the server of the stream`,
      );
    if (stamp.timeMs < storedMs - (bounds.fleetStamps + 1) * dayMs)
      throw misfit(`a time stamp of ${day} came, which is older than any that a gate sends: it is not kept`);
    if (mirror.endOf(host, journal) < seq && !mirror.isFull(host))
      throw misfit(
        `a time stamp of ${day} is over record ${seq} of a journal, and that record did not come: the host stamps another journal than it sends`,
      );
    const found = await findRecord(join(root, host, journal), seq).catch(() => undefined);
    // What the mirror does not have is not compared: there is a finding of its own.
    if (typeof found === 'object' && found.hash !== hash)
      throw misfit(
        `a time stamp of ${day} is over another record ${seq} than the one that came: the journal was written anew at the host after it was sent, or before; compare both with the mirror`,
      );
    const folder = stampsIn(root, host);
    if (hasStamp(folder, day)) return;
    await attempt(async () => {
      makeInner(folder, groupOf(root));
      await storeStamp(folder, { day, ...parts }, async (path, content) =>
        writeWhole(folder, basename(path), content),
      );
    });
    newest.delete(host);
  }

  async function attempt<Result>(run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } catch (cause) {
      const text = `the time stamps in ${root} cannot be read or written: ${messageOf(cause)}`;
      throw new CommandFault(exitCodes.configuration, text);
    }
  }
}

/** Read once. Throws a StampFault. */
function authorityIn(path: string): readonly Certificate[] {
  try {
    return readAuthorityFile(path);
  } catch (cause) {
    throw new StampFault('authority-file', '', cause);
  }
}

/** A valid time stamp that does not fit to the records that the host sent. */
class Misfit extends Error {
  override readonly name = 'Misfit';
  readonly of: Pick<FleetFinding, 'journal' | 'seq'>;
  constructor(text: string, of: Pick<FleetFinding, 'journal' | 'seq'>) {
    super(text);
    this.of = of;
  }
}
