// Checks the signatures of checkpoint and retire records, follows a key that names the next one, and compares a trail with the checkpoint
// files beside it. A signature holds for everything before it. Nothing unsigned, or signed by an unknown key, may stand after the last
// checkpoint of a trusted key, and nothing that a checkpoint named may be missing or different. A later signature proves that a record
// stood there when it was made, not that its words are true: a retire record counts only by its own signature.

import { asText, isCount, isText, parseLine } from '../../host/values/values.js';
import { isSignedBy, readLink, unsignedLine } from './ledger.js';

export interface Place {
  /** A segment as records name it, or a file beside them. */
  readonly file: string;
  /** From 1; 0: the file as a whole. */
  readonly line: number;
  readonly seq: number | undefined;
}

export type CheckpointFaultKind =
  | 'bad-signature'
  /** No trusted key covers the end of the trail, or a checkpoint beside it. */
  | 'untrusted'
  /** No trusted key signed this retire record, so it explains no gap. */
  | 'retire-untrusted'
  /** A record is not the one that a checkpoint names. */
  | 'rewritten'
  /** Records that a checkpoint names are missing at the end. */
  | 'cut'
  /** Another key signs from there on; the previous one did not name it, and no person has accepted it. */
  | 'key-change';

export interface Fault<Kind> extends Place {
  readonly kind: Kind;
  readonly text: string;
}

type CheckpointFault = Fault<CheckpointFaultKind>;

/** A forged journal may name another key in each checkpoint. */
const keysMax = 1000;

/** A file with one checkpoint line, as it lies beside the segments. */
export interface KeptCheckpoint {
  readonly file: string;
  readonly text: string;
}

interface Expected extends Pick<KeptCheckpoint, 'file'> {
  readonly seq: number;
  readonly hash: string;
  readonly key?: string | undefined;
}

/** Kept by a start that found records missing or different. Its records may be retired by now; those of `checkpoint.json` are not. */
const evidenceFile = /^checkpoint-\d+\.json$/;

/**
 * Fed while the trail is followed. `trusted`: public keys in base64 that a person trusts. `ownKey`: that of the host itself, which counts
 * too, but a change to it is a fault. Without any key, signatures are only tested for being right.
 */
export function createCheckpointVerifier(
  trusted: readonly string[],
  kept: readonly KeptCheckpoint[],
  report: (fault: CheckpointFault) => void,
  ownKey?: string,
) {
  const accepted = new Set(trusted);
  const trust = new Set(ownKey === undefined ? trusted : [...trusted, ownKey]);
  /** In the order in which they first signed. */
  const keys = new Set<string>();
  /** Several files may name one seq, with different hashes. */
  const expected = new Map<number, Expected[]>();
  let signedSeq: number | undefined;
  let signedTime: string | undefined;
  let signedBy: string | undefined;
  /** The oldest record that retention left, by records that count themselves; 0: unknown. */
  let oldestSeq = 0;
  let isSeen = false;
  let unknown: CheckpointFault | undefined;
  /** The last signing key, and the key that it named as the next one. */
  let signer: string | undefined;
  let named: string | undefined;
  /** The first unaccepted change of the key. */
  let change: CheckpointFault | undefined;
  /** The key that signed first, and those named in its line. */
  const firstKeys = new Set<string>();
  /** Of these, the keys whose signatures count only because a trusted key signed them later. */
  const earlierKeys = new Set<string>();
  for (const each of kept) expect(each);

  return {
    /**
     * Call for every checkpoint and retire record: its line (text without LF), the same as an object, and its place. True: it counts by its
     * own signature, or, if no key was given and nothing is signed, without one.
     */
    judge(text: string, record: Readonly<Record<string, unknown>>, place: Place): boolean {
      isSeen = true;
      const counts = isTrusted(text, record, place);
      const { oldest_seq: oldest } = record;
      if (counts && isCount(oldest)) oldestSeq = Math.max(oldestSeq, oldest);
      return counts;
    },
    /** Call for every record with a right chain. Cheap: checkpoints beside the trail name almost none of them. */
    compare(seq: number, hash: string, file: string, line: number): void {
      const found = expected.get(seq);
      if (found === undefined) return;
      expected.delete(seq);
      for (const { hash: expectedHash, file: by } of found) {
        if (expectedHash === hash) continue;
        const text = `the record is not the one that ${by} names`;
        report({ kind: 'rewritten', file, line, seq, text });
      }
    },
    /** The oldest record that retention left, according to the records that count; 0: unknown. */
    get oldestSeq() {
      return oldestSeq;
    },
    /**
     * Call at the end; `last`: the last record, `firstSeq`: the first. `signedSeq`: records up to it are covered by a signature of a
     * trusted key, or, if none was given, of any key. `keys`: in the order in which they first signed.
     */
    finish(last: Place, firstSeq: number) {
      for (const { seq, file, key } of [...expected.values()].flat()) {
        // Its records were retired, which a signed record explains (verify.ts checks that), or are not part of the check.
        if (seq < firstSeq && evidenceFile.test(file)) continue;
        if (trust.size > 0 && !trust.has(key ?? '')) {
          report({ kind: 'untrusted', file, line: 1, seq, text: 'no trusted key signed this checkpoint' });
        } else if (seq > (last.seq ?? 0)) {
          const text = `${file} names record ${seq}: what follows here was cut off`;
          report({ kind: 'cut', ...last, seq: (last.seq ?? firstSeq - 1) + 1, text });
        }
      }
      if (ownKey !== undefined && change !== undefined) report(change);
      if (trust.size > 0 && unknown !== undefined) report(unknown);
      else if (trust.size > 0 && signedSeq === undefined) {
        const text = isSeen ? 'no checkpoint is signed by a trusted key' : 'there is no checkpoint';
        report({ kind: 'untrusted', ...last, text });
      }
      return { signedSeq, signedTime, signedBy, keys: [...keys], earlierKeys: [...earlierKeys] };
    },
  };

  function isTrusted(text: string, record: Readonly<Record<string, unknown>>, place: Place): boolean {
    const { key, next_key: nextKey, time } = record;
    const isRetire = record['event'] === 'retire';
    const signed = unsignedLine(text);
    if (!isText(key) || signed === undefined) {
      if (isRetire && (trust.size > 0 || keys.size > 0)) reportRetire(record, place, 'is not signed');
      else if (trust.size > 0) unknown ??= { kind: 'untrusted', ...place, text: 'the record is not signed' };
      return trust.size === 0 && keys.size === 0;
    }
    if (keys.size < keysMax) keys.add(key);
    if (!isSignedBy(key, signed.text, signed.signature)) {
      report({ kind: 'bad-signature', ...place, text: `the signature of key ${key} is not right` });
      return false;
    }
    const isOther = signer !== undefined && key !== signer && key !== named;
    const changed = `key ${key} signs from here on, and ${signer} before, which did not name it`;
    if (isOther) change ??= { kind: 'key-change', ...place, text: changed };
    if (signer === undefined) firstKeys.add(key);
    signer = key;
    named = asText(nextKey);
    if (firstKeys.has(key) && named !== undefined) firstKeys.add(named);
    if (trust.size > 0 && !trust.has(key)) {
      // The keys before the first trusted one: trusting a key accepts everything that it signed.
      const isBefore = signedSeq === undefined && firstKeys.has(key);
      if (isRetire && !isBefore) reportRetire(record, place, `is signed by key ${key}, which is not trusted`);
      const untrusted = `key ${key} is not trusted`;
      unknown ??=
        isOther && record['action'] === 'key-change'
          ? { kind: 'key-change', ...place, text: `${untrusted}: ${changed}` }
          : { kind: 'untrusted', ...place, text: untrusted };
      if (isBefore) earlierKeys.add(key);
      return isBefore;
    }
    unknown = undefined;
    signedSeq = place.seq;
    signedTime = asText(time);
    signedBy = key;
    // Trusting a key accepts everything before its signature.
    if (accepted.has(key)) change = undefined;
    if (trust.size > 0 && named !== undefined) trust.add(named);
    if (accepted.has(key) && named !== undefined) accepted.add(named);
    return true;
  }

  function reportRetire({ segment }: Readonly<Record<string, unknown>>, place: Place, why: string): void {
    const what = isText(segment) ? `the retire record of ${segment}` : 'this retire record';
    const text = `${what} ${why}, so it explains no gap: find out who wrote it`;
    report({ kind: 'retire-untrusted', ...place, text });
  }

  function expect({ file, text }: KeptCheckpoint): void {
    const line = text.trimEnd();
    const link = readLink(Buffer.from(line));
    const record = parseLine(line);
    const signed = unsignedLine(line);
    const key = asText(record?.['key']);
    const isRight =
      key === undefined || (signed !== undefined && isSignedBy(key, signed.text, signed.signature));
    if (link === undefined || !link.isIntact || !isRight) {
      const fault = 'this is not a checkpoint as it was written';
      report({ kind: 'bad-signature', file, line: 1, seq: link?.seq, text: fault });
      return;
    }
    const { seq, hash } = link;
    expected.set(seq, [...(expected.get(seq) ?? []), { seq, hash, file, key }]);
  }
}
