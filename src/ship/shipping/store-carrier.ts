// Records on their way to a store: blocks of verbatim lines, each put once under a name that fixes its content. The store itself shows
// where to go on: after the highest LAST that this journal has. A block that was tried stays as it is, until it is stored or the store has
// more. A block closes after some seconds while there is credit, so that a day has a bounded number of objects; one with an urgent record
// has a credit of its own.
//
// A name is no evidence against this journal: anybody with the credential can put one. The journal is forked if an object was read, its
// lines join, and one that this journal lacks is signed with this journal's key. Other names are reported, and records go on after the last
// good one.

import { createHash } from 'node:crypto';
import {
  digestInBlock,
  firstClaim,
  fitsName,
  linesOf,
  packBlock,
  textOfBlock,
} from '../../evidence/store/block.js';
import { type BlockName, formatName, journalFolder, parseBlockName } from '../../evidence/store/names.js';
import { bounds } from '../../host/bounds/bounds.js';
import { type ObjectStore, StoreFault } from '../../host/ports/store.js';
import { isSignedBy, readClaim, unsignedLine } from '../../journal/records/ledger.js';
import { readHead, readWord } from '../../journal/records/record.js';
import { type Carrier, type CarrierParts, ForkedFault, type Line } from './carrier.js';
import { createCredit } from './credit.js';
import { beginning, type Follower, type Position } from './follow.js';
import { createOpenBlock } from './open-block.js';
import { ReceiverFault } from './receiver.js';

type Parts = Pick<
  CarrierParts,
  'journal' | 'journalKey' | 'untilSeq' | 'position' | 'clock' | 'restarted' | 'conflict'
>;

export interface StoreOptions extends Parts {
  readonly openStore: () => ObjectStore;
  readonly host: string;
  /** For usual blocks; as many again for urgent ones. */
  readonly objectsPerDay: number;
}

const batches = { bytes: bounds.storeBatchBytes, lines: Number.POSITIVE_INFINITY };
/** How long a block stays open: one with an urgent record, any, one of the gate's own records only. */
const urgentMs = 5_000;
const blockMs = 10_000;
const ownMs = 300_000;
const lookMs = 1_000;
/** Interval of the search for the end of the store while records go there. */
const foundAgainMs = 3_600_000;
/** Limits for names that this journal does not have: shards that are searched, and objects that are read. */
const shardsMax = 16;
const readsMax = 64;

interface Block {
  readonly name: BlockName;
  readonly prev: string;
  readonly bytes: Buffer;
  /** Digest of its lines: two compressions of the same lines may differ. */
  readonly digest: string;
  readonly position: Position;
}

export function createStoreCarrier(options: StoreOptions): Carrier {
  const { clock } = options;
  const credits = {
    usual: createCredit(options.objectsPerDay, clock),
    urgent: createCredit(options.objectsPerDay, clock),
  };
  const block = createOpenBlock(clock);
  let safe = options.position;
  /** Tried, and perhaps stored. */
  let frozen: Block | undefined;
  let isDoubted = false;
  let foundMs = -Infinity;
  let toldConflict: string | undefined;

  return {
    batches,
    get sentSeq() {
      return safe.seq;
    },
    get safe() {
      return safe;
    },
    doubt(): void {
      // The record of the position is not in the journal; the store says whether it has one.
      safe = beginning;
      isDoubted = true;
    },
    async open(follower: Follower, hurry: AbortSignal, { proven }): Promise<Line> {
      const store = options.openStore();
      const close = (): void => store.close();
      try {
        const line = createLine(store, follower, hurry);
        await orFault(line.place());
        proven();
        return {
          send: (batch) => orFault(line.send(batch)),
          idle: () => orFault(line.idle()),
          finish: () => orFault(line.put()),
          close,
        };
      } catch (fault) {
        close();
        throw fault;
      }
    },
  };

  function createLine(store: ObjectStore, follower: Follower, signal: AbortSignal) {
    const { journal, host, untilSeq } = options;

    return { place, send, idle, put };

    async function send({ lines, text: bytes, position }: Parameters<Line['send']>[0]): Promise<void> {
      if (isDoubted) return place();
      if (!block.hasRoom(lines[0]?.seq ?? position.seq, bytes.length)) await put();
      block.add(bytes, position);
      if (isFull()) return putAll();
      if (clock.now() - block.lookedMs >= lookMs) await putIfDue();
    }

    async function idle(): Promise<number | undefined> {
      if (!isDoubted) return putIfDue();
      await place();
      return 0;
    }

    /** Puts the open block if it is due. Milliseconds until then; undefined: there is none. */
    async function putIfDue(): Promise<number | undefined> {
      if (block.bytes === 0) return undefined;
      const ms = isFull() ? 0 : dueMs();
      if (ms > 0) return ms;
      await putAll();
      return undefined;
    }

    /** Puts the open block, which has all that was read, and at times looks for a clone of this machine that is ahead. */
    async function putAll(): Promise<void> {
      await put();
      if (clock.now() - foundMs < foundAgainMs) return;
      await findEnd();
      await follower.seek(safe);
    }

    /** Moves the follower to after the last record that the store has of this journal. */
    async function place(): Promise<void> {
      isDoubted = false;
      block.clear();
      const had = safe;
      const end = await findEnd();
      if (end !== undefined) safe = end;
      if (had.seq > 0 && end === undefined && (await isOther()))
        throw new ReceiverFault(
          'refused',
          `${store.place} holds nothing of this journal, and had record ${had.seq}: mount what had it; for a new store, remove the place of this receiver (docs/shipping.md)`,
        );
      // An agent may move objects away, and retention may remove them: what was stored is not sent again unasked.
      if (had.seq > 0 && end === undefined)
        options.restarted(
          `${store.place} holds nothing of this journal, and had record ${had.seq}; it goes on behind it`,
        );
      else if (safe.seq < had.seq)
        options.restarted(`${store.place} ends with record ${safe.seq}, and had record ${had.seq}`);
      const isNext = frozen?.name.first === safe.seq + 1 && (safe.hash === '' || frozen.prev === safe.hash);
      if (isNext) await putFrozen();
      frozen = undefined;
      // Otherwise the search for the end has moved it there, even if the journal has the record no more.
      if (isNext || end === undefined) await follower.seek(safe);
    }

    /** The folder is there without this journal's folder, which no removal of objects removes: the disk is missing, or another. */
    async function isOther(): Promise<boolean> {
      if ((await store.describe(signal)).kind !== 'folder') return false;
      for await (const page of store.list(`${host}/`, { isLevel: true, signal }))
        if (page.includes(journalFolder(host, journal))) return false;
      return true;
    }

    /** Puts the open block. */
    async function put(): Promise<void> {
      if (block.bytes === 0) return;
      const credit = block.urgentSinceMs !== undefined && credits.urgent.waitMs() === 0 ? 'urgent' : 'usual';
      frozen = await freeze(block.text, block.position);
      block.clear();
      credits[credit].spend();
      await putFrozen();
    }

    async function freeze(lines: Buffer, position: Position): Promise<Block> {
      const first = firstClaim(lines);
      const last = readClaim(lines.subarray(lines.lastIndexOf(0x0a, -2) + 1, -1));
      if (first === undefined || last === undefined) throw new Error('a block has other lines than records');
      const name = {
        kind: 'block',
        host,
        journal,
        first: first.seq,
        last: last.seq,
        hash: last.hash,
        isCopy: false,
      } as const;
      const bytes = await packBlock(lines);
      const digest = digestOf(lines);
      // Checked before it is sent: a stored object stays.
      if ((await digestInBlock(bytes)) !== digest) throw new Error('a block is not what was compressed');
      return { name, prev: first.prev, bytes, digest, position };
    }

    async function putFrozen(): Promise<void> {
      if (frozen === undefined) return;
      await putBlock(frozen);
      safe = frozen.position;
      frozen = undefined;
    }

    async function putBlock({ name, bytes, digest }: Block): Promise<void> {
      if ((await store.put(formatName(name), bytes, { ifAbsent: true, signal })) === 'stored') return;
      // There is no proof: somebody else may have put other bytes under this name.
      if (await holds(name, digest)) return;
      tellConflict(`other bytes are under ${formatName(name)}; the block is stored again`);
      try {
        if ((await store.put(formatName(name), bytes, { ifAbsent: false, signal })) === 'stored') return;
      } catch (fault) {
        if (!(fault instanceof StoreFault) || fault.code !== 'refused') throw fault;
      }
      const copy = { ...name, isCopy: true };
      if ((await store.put(formatName(copy), bytes, { ifAbsent: true, signal })) === 'stored') return;
      if (await holds(copy, digest)) return;
      throw new ReceiverFault(
        'refused',
        `other bytes are under ${formatName(name)} and ${formatName(copy)}, and cannot be overwritten`,
      );
    }

    async function holds(name: BlockName, digest: string): Promise<boolean> {
      const lines = await read(name);
      return lines !== undefined && digestOf(lines) === digest;
    }

    /** The lines of a block; undefined: the object is none. */
    async function read(name: BlockName): Promise<Buffer | undefined> {
      try {
        const { bytes } = await store.read(formatName(name), { bytesMax: bounds.storeBlockBytes, signal });
        return await textOfBlock(bytes);
      } catch (fault) {
        if (fault instanceof StoreFault && !['away', 'refused'].includes(fault.code)) return undefined;
        throw fault;
      }
    }

    /** The position after the last record in the store that this journal has. Undefined: there is none. Rejects with a ForkedFault. */
    async function findEnd(): Promise<Position | undefined> {
      foundMs = clock.now();
      const shards: string[] = [];
      for await (const page of store.list(journalFolder(host, journal), { isLevel: true, signal }))
        shards.push(...page.filter((name) => /\/\d{11}\/$/.test(name)));
      const strange: BlockName[] = [];
      let end: Position | undefined;
      for (const shard of shards.toReversed().slice(0, shardsMax)) {
        end = await findIn(await blocksIn(shard), strange);
        if (end !== undefined) break;
      }
      if (strange.length > 0) await judge(strange);
      return end;
    }

    async function blocksIn(shard: string): Promise<readonly BlockName[]> {
      const blocks: BlockName[] = [];
      for await (const page of store.list(shard, { signal })) {
        for (const each of page) {
          const name = parseBlockName(each);
          if (name !== undefined) blocks.push(name);
        }
      }
      return blocks.toSorted((one, other) => other.last - one.last);
    }

    async function findIn(blocks: readonly BlockName[], strange: BlockName[]): Promise<Position | undefined> {
      for (const each of blocks) {
        const found = each.last > untilSeq() ? undefined : await follower.goBehind(each.last, each.hash);
        const isOurs = found === 'same' || found === 'gone';
        // A name is no proof: perhaps the answer was lost, and somebody else has put other bytes.
        if (isOurs && (await isThere(each))) return follower.position;
        if (isOurs) tellConflict(`other bytes are under ${formatName(each)}`);
        else strange.push(each);
      }
      return undefined;
    }

    async function isThere(name: BlockName): Promise<boolean> {
      const lines = await read(name);
      return lines !== undefined && fitsName(lines, name);
    }

    /** Names of records that this journal does not have. Rejects with a ForkedFault if one of them is this journal's, by its signature. */
    async function judge(strange: readonly BlockName[]): Promise<void> {
      for (const name of strange.slice(0, readsMax)) {
        const lines = await read(name);
        if (lines === undefined || !fitsName(lines, name)) continue;
        for (const line of linesOf(lines)) {
          const link = readClaim(line);
          if (link === undefined || !isSigned(line.toString())) continue;
          const isHere = link.seq <= untilSeq();
          if (isHere && (await follower.positionOf(link.seq))?.hash === link.hash) continue;
          await mark();
          const has = `${store.place} has record ${link.seq} of it, signed with its key`;
          const text = isHere
            ? `${has}, and here record ${link.seq} is another one`
            : `${has}, and here it ends with ${untilSeq()}`;
          throw new ForkedFault(text);
        }
      }
      const [first] = strange;
      tellConflict(
        `${strange.length} names are not of this journal, and nothing below them is signed with its key; the first is ${first && formatName(first)}`,
      );
    }

    function isSigned(line: string): boolean {
      const { journalKey: key } = options;
      if (key === undefined || readHead(line)?.event !== 'checkpoint' || readWord(line, 'key') !== key)
        return false;
      const signed = unsignedLine(line);
      return signed !== undefined && isSignedBy(key, signed.text, signed.signature);
    }

    /** For readers of the store: the last record of this journal when it stopped. */
    async function mark(): Promise<void> {
      const head = await follower.positionOf(untilSeq());
      if (head === undefined) return;
      const name = formatName({ kind: 'forked', host, journal, seq: head.seq, hash: head.hash });
      await store.put(name, Buffer.alloc(0), { ifAbsent: true, signal });
    }

    function tellConflict(told: string): void {
      if (told !== toldConflict) options.conflict(told);
      toldConflict = told;
    }
  }

  function isFull(): boolean {
    return !block.hasRoom(block.position.seq + 1, batches.bytes);
  }

  function dueMs(): number {
    block.look();
    const nowMs = clock.now();
    const ms = Math.max((block.isOwn ? ownMs : blockMs) - (nowMs - block.sinceMs), credits.usual.waitMs());
    if (block.urgentSinceMs === undefined) return ms;
    return Math.min(ms, Math.max(urgentMs - (nowMs - block.urgentSinceMs), credits.urgent.waitMs()));
  }
}

function digestOf(text: Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

async function orFault<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof StoreFault)) throw cause;
    throw new ReceiverFault(cause.code === 'away' ? 'stalled' : 'refused', cause.message, cause);
  }
}
