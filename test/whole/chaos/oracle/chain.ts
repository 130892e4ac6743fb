// The journal as a chain: form of a line, hashes, order, signatures, starts and stops. Shares no code with the gate's own verifier.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { count, type Json, parseObject, text } from './read-lines.js';
import type { Report } from './report.js';

const tailBytes = ',"hash":"'.length + 64 + '"}'.length;
const zeroHash = '0'.repeat(64);

/** The order of keys that the contract fixes; keys that are not here may stand anywhere before `error`. */
const keyOrder = new Map(
  (
    'seq time event journal format session id for protocol tag listener peer principal policy version rule series decision would mode ' +
    'reason command user args input effect backend upstream backends matches program catalog segment segment_hash head oldest_seq key ' +
    'signature action by count level text status outcome sent rows cells bytes_in bytes_out wait_ms first_byte_ms duration_ms logs ' +
    'error prev hash'
  )
    .split(' ')
    .map((key, at) => [key, at]),
);

const events = new Set(
  (
    'start stop reload retire operator session-open session-close admission arguments completion log checkpoint limit clock access ' +
    'key-change backend'
  ).split(' '),
);
/** What each record of a kind must have. */
const demanded: Record<string, string[]> = {
  start: ['journal', 'format', 'program'],
  checkpoint: ['journal', 'format', 'head', 'oldest_seq'],
  admission: ['session', 'id', 'listener', 'principal', 'decision'],
  completion: ['id', 'outcome'],
  limit: ['action', 'count'],
};
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
/** A step of the clock is recorded within a second or so; the records before that already have the new time. */
const clockPatienceMs = 10_000;
const clockStepMs = 1500;

export interface ChainSummary {
  records: number;
  firstSeq: number;
  lastSeq: number;
  /** The last record that had been written `ms` before the end by the gate's own clock. */
  hashOf(seq: number): string | undefined;
  journal: string;
  /** Times between checkpoints of one run of the gate, by its own clock. */
  gaps: number[];
  clockRecords: number;
  /** The records at the end that a receiver may not have yet, by the gate's own times. */
  seqBefore(ms: number): number;
}

interface ChainReader {
  /** Checks a line and returns its record; undefined where it has none. */
  take(line: Buffer, where: string): Json | undefined;
  end(): ChainSummary;
}

interface KnownKey {
  object: KeyObject;
  raw: string;
}

export function parseKeys(pems: readonly string[]): KnownKey[] {
  return pems.map((pem) => {
    const key = createPublicKey(pem);
    const raw = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
    return { object: key, raw };
  });
}

export function createChainReader(keys: readonly KnownKey[], report: Report): ChainReader {
  const wrong = (what: string, where: string): void => report.add('chain', what, where);
  const hashes = createHashStore();
  const recent: { seq: number; ms: number }[] = [];
  let seq = 0;
  let firstSeq = 0;
  let hash = '';
  let event = '';
  let lastEvent = '';
  let checkpointMs: number | undefined;
  const gaps: number[] = [];
  let clockRecords = 0;
  let journal = '';
  let keyAt = 0;
  let oldest = 0;
  let hasRetired = false;
  let records = 0;
  let lastMs = -Infinity;
  let stepBack: { ms: number; where: string } | undefined;

  const checkOrder = (record: Json, where: string, bytes: Buffer): void => {
    const own = count(record.seq) ?? -1;
    const prev = text(record.prev);
    if (records === 0) {
      firstSeq = own;
      if (own === 1 && prev !== zeroHash) wrong('the first record follows another one', where);
    } else {
      if (own !== seq + 1) wrong(`seq ${own} after ${seq}`, where);
      if (prev !== hash) wrong(`prev of seq ${own} is not the hash of the record before`, where);
    }
    const digest = createHash('sha256')
      .update(bytes.subarray(0, bytes.length - tailBytes))
      .update('}')
      .digest('hex');
    if (digest !== record.hash) wrong(`hash of seq ${own} is not that of its text`, where);
  };

  const checkForm = (record: Json, where: string): void => {
    let last = -1;
    for (const key of Object.keys(record)) {
      const place = keyOrder.get(key);
      if (place === undefined) continue;
      if (place < last) {
        wrong(`key "${key}" of seq ${String(record.seq)} is out of order`, where);
        break;
      }
      last = place;
    }
    const kind = text(record.event);
    if (!events.has(kind)) wrong(`unknown event "${kind}"`, where);
    for (const key of demanded[kind] ?? [])
      if (record[key] === undefined) wrong(`a ${kind} record without ${key}`, where);
    if (!timePattern.test(text(record.time))) wrong('a time of another form', where);
    if (record.journal !== undefined) {
      if (journal !== '' && record.journal !== journal) wrong('another journal id', where);
      journal = text(record.journal);
    }
  };

  const checkTime = (record: Json, where: string): void => {
    const ms = Date.parse(text(record.time));
    if (record.event === 'clock' || record.event === 'start') stepBack = undefined;
    else if (ms < lastMs - clockStepMs && stepBack === undefined) stepBack = { ms, where };
    else if (stepBack !== undefined && Math.abs(ms - stepBack.ms) > clockPatienceMs) {
      wrong('the clock went back and no clock record says so', stepBack.where);
      stepBack = undefined;
    }
    lastMs = ms;
    const own = count(record.seq) ?? 0;
    if (recent.length === 0 || (recent.at(-1)?.ms ?? 0) + 1000 <= ms || (recent.at(-1)?.ms ?? 0) > ms)
      recent.push({ seq: own, ms });
    if (recent.length > 4096) recent.splice(0, 2048);
  };

  const checkSignature = (record: Json, line: string, where: string): void => {
    const signature = text(record.signature);
    const place = keys.findIndex((one) => one.raw === record.key);
    const known = keys[place];
    if (known === undefined) {
      wrong(`a ${text(record.event)} record of a key that may not sign`, where);
      return;
    }
    if (place < keyAt) wrong('an older key signs after a newer one', where);
    keyAt = Math.max(keyAt, place);
    const signed = line.slice(0, -tailBytes).replace(`,"signature":"${signature}"`, '') + '}';
    if (!verify(null, Buffer.from(signed), known.object, Buffer.from(signature, 'base64')))
      wrong(`the signature of seq ${String(record.seq)} is not right`, where);
  };

  const checkCheckpoint = (record: Json, where: string): void => {
    if (keys.length > 0 && record.signature === undefined) wrong('a checkpoint without signature', where);
    if (records > 0 && record.head !== hash) wrong('head of a checkpoint is not the record before', where);
    const from = count(record.oldest_seq) ?? -1;
    if (from < oldest || from > seq || (!hasRetired && from !== firstSeq))
      wrong(`oldest_seq ${from} of a checkpoint, and the journal begins with ${firstSeq}`, where);
    oldest = Math.max(oldest, from);
  };

  /** Checkpoints come at equal times, also when nothing else is recorded. */
  const measureGap = (record: Json): void => {
    const ms = Date.parse(text(record.time));
    if (record.event === 'start' || record.event === 'clock' || record.event === 'stop')
      checkpointMs = undefined;
    if (record.event !== 'checkpoint') return;
    if (checkpointMs !== undefined) gaps.push(ms - checkpointMs);
    checkpointMs = ms;
  };

  const checkStart = (record: Json, where: string): void => {
    for (const key of ['error', 'ring', 'lost', 'appended'])
      if (record[key] !== undefined) wrong(`a start says ${key}: ${JSON.stringify(record[key])}`, where);
    const last = count(record.last_seq);
    if (last === undefined || last < firstSeq) return;
    if (hashes.at(last - firstSeq) !== text(record.last_hash).slice(0, 32))
      wrong(`last_hash of a start is not that of seq ${last}`, where);
  };

  const checkFollows = (record: Json, where: string): void => {
    const kind = text(record.event);
    if (event === 'stop' && kind !== 'checkpoint' && kind !== 'start' && kind !== 'clock')
      wrong(`a ${kind} record follows an orderly stop`, where);
    if (record.segment_hash !== undefined && records > 0 && record.segment_hash !== hash)
      wrong('a segment names another end of the one before', where);
    // Whatever follows the checkpoint of a stop is of a new start: its recovery first, then its start record.
    if (event !== 'stop' || (kind !== 'checkpoint' && kind !== 'clock')) event = kind;
  };

  return {
    take(bytes, where) {
      const record = parseObject(bytes);
      if (record === undefined) {
        wrong('a line that is no record', where);
        return undefined;
      }
      checkOrder(record, where, bytes);
      checkForm(record, where);
      checkTime(record, where);
      checkFollows(record, where);
      if (record.event === 'retire') hasRetired = true;
      if (record.event === 'checkpoint') checkCheckpoint(record, where);
      measureGap(record);
      if (record.event === 'clock') clockRecords += 1;
      lastEvent = text(record.event);
      if (record.event === 'start') checkStart(record, where);
      if (record.signature !== undefined) checkSignature(record, bytes.toString(), where);
      seq = count(record.seq) ?? seq + 1;
      hash = text(record.hash);
      records += 1;
      hashes.push(hash);
      return record;
    },
    end() {
      if (keys.length > 0 && records > 0 && lastEvent !== 'checkpoint')
        wrong(`the journal ends with a ${lastEvent} record, not with a checkpoint`, `seq ${seq}`);
      if (event !== 'stop')
        wrong(`the journal does not end with a stop and its checkpoint (${event})`, `seq ${seq}`);
      if (stepBack !== undefined) wrong('the clock went back and no clock record says so', stepBack.where);
      return {
        records,
        firstSeq,
        lastSeq: seq,
        journal,
        gaps,
        clockRecords,
        hashOf: (one) => (one < firstSeq ? undefined : hashes.at(one - firstSeq)),
        seqBefore: (ms) => recent.findLast((one) => one.ms <= lastMs - ms)?.seq ?? 0,
      };
    },
  };
}

/** The first 128 bits of each hash, without an object for each. */
function createHashStore(): { push(hash: string): void; at(place: number): string | undefined } {
  const bytes = 16;
  const blockRecords = 1 << 16;
  const blocks: Buffer[] = [];
  let used = 0;
  return {
    push(hash) {
      if (used % blockRecords === 0) blocks.push(Buffer.alloc(bytes * blockRecords));
      blocks.at(-1)?.write(hash.slice(0, 32), (used % blockRecords) * bytes, 'hex');
      used += 1;
    },
    at(place) {
      if (place < 0 || place >= used) return undefined;
      const from = (place % blockRecords) * bytes;
      return blocks[Math.floor(place / blockRecords)]?.toString('hex', from, from + bytes);
    },
  };
}
