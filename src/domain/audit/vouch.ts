// Who vouches for a trail: judges the signatures of checkpoint and retire records, follows a key that names the next one,
// and compares the trail with the checkpoints that are kept beside it. It does not follow the chain (verify.ts does).
// The rule: a signature holds for everything before it. What counts is that nothing unsigned, or signed by a stranger,
// stands behind the last checkpoint of a trusted key, and that nothing that a checkpoint named is missing or other.

import { readLink } from './chain.js';
import { parseLine } from './line.js';
import { isSignedBy, unsignedLine } from './signature.js';
import type { Place, TrailFault } from './verdict.js';

/** A file with one checkpoint line, as it lies beside the segments. */
export interface KeptCheckpoint {
  readonly file: string;
  readonly text: string;
}

/** Kept by a start that found records missing or other than this checkpoint says. The last one, `checkpoint.json`, is never so old. */
const evidenceFile = /^checkpoint-\d+\.json$/;

/** Judges what vouches, while the trail is followed. */
export interface Voucher {
  /** For every checkpoint and retire record: its line (text without LF), as an object, and where it stands. */
  judge(text: string, record: Readonly<Record<string, unknown>>, place: Place): void;
  /** For every record whose chain is right. Cheap: nearly all of them are none that a checkpoint beside the trail names. */
  compare(seq: number, hash: string, file: string, line: number): void;
  /** At the end; `last`: the last record, `firstSeq`: the first. */
  finish(last: Place, firstSeq: number): Vouched;
}

/** How far a trail is vouched for. */
export interface Vouched {
  /** Everything up to here is under a signature: of a trusted key, or, if none was given, of any. */
  readonly signedSeq: number | undefined;
  /** Public keys in the order in which they first signed. */
  readonly keys: readonly string[];
}

/**
 * `trusted`: public keys in base64 that a person vouches for. `ownKey`: that of the host itself, which counts too, but a change to
 * it is a fault. Without any of them signatures are only tested to be right.
 */
export function createVoucher(
  trusted: readonly string[],
  kept: readonly KeptCheckpoint[],
  report: (fault: TrailFault) => void,
  ownKey?: string,
): Voucher {
  const accepted = new Set(trusted);
  const trust = new Set(ownKey === undefined ? trusted : [...trusted, ownKey]);
  const keys = new Set<string>();
  /** Checkpoints beside the trail that were not met yet. */
  const expected = new Map<number, { readonly file: string; readonly hash: string; readonly key: unknown }>();
  let signedSeq: number | undefined;
  let isSeen = false;
  let stranger: TrailFault | undefined;
  /** Who signed last, and the key that it named as the next one. */
  let signer: string | undefined;
  let named: string | undefined;
  /** The first change of the key that nobody has accepted. */
  let change: TrailFault | undefined;
  for (const { file, text } of kept) expect(file, text);

  return {
    judge(text, record, place) {
      isSeen = true;
      const { key, next_key: nextKey } = record;
      const signed = unsignedLine(text);
      if (typeof key !== 'string' || signed === undefined) {
        if (trust.size > 0) stranger ??= { kind: 'untrusted', ...place, text: 'the record is not signed' };
        return;
      }
      keys.add(key);
      if (!isSignedBy(key, signed.text, signed.signature)) {
        report({ kind: 'bad-signature', ...place, text: `the signature of key ${key} is not right` });
        return;
      }
      const isOther = signer !== undefined && key !== signer && key !== named;
      const changed = `key ${key} signs from here on, and ${signer} before, which did not name it`;
      if (isOther) change ??= { kind: 'key-change', ...place, text: changed };
      signer = key;
      named = typeof nextKey === 'string' ? nextKey : undefined;
      if (trust.size > 0 && !trust.has(key)) {
        const untrusted = `key ${key} is not trusted`;
        stranger ??=
          isOther && record['action'] === 'key-change'
            ? { kind: 'key-change', ...place, text: `${untrusted}: ${changed}` }
            : { kind: 'untrusted', ...place, text: untrusted };
        return;
      }
      stranger = undefined;
      signedSeq = place.seq;
      // What somebody is trusted for is everything before his signature.
      if (accepted.has(key)) change = undefined;
      if (trust.size > 0 && named !== undefined) trust.add(named);
      if (accepted.has(key) && named !== undefined) accepted.add(named);
    },
    compare(seq, hash, file, line) {
      const found = expected.get(seq);
      if (found === undefined) return;
      expected.delete(seq);
      if (found.hash === hash) return;
      const text = `the record is not the one that ${found.file} names`;
      report({ kind: 'rewritten', file, line, seq, text });
    },
    finish(last, firstSeq) {
      for (const [seq, { file, key }] of expected) {
        // Its records were retired, which a signed record explains (verify.ts looks for that), or are not looked at.
        if (seq < firstSeq && evidenceFile.test(file)) continue;
        if (trust.size > 0 && (typeof key !== 'string' || !trust.has(key))) {
          report({ kind: 'untrusted', file, line: 1, seq, text: 'no trusted key signed this checkpoint' });
        } else if (seq > (last.seq ?? 0)) {
          const text = `${file} names record ${seq}: what follows here was cut off`;
          report({
            kind: 'cut',
            file: last.file,
            line: last.line,
            seq: (last.seq ?? firstSeq - 1) + 1,
            text,
          });
        }
      }
      if (ownKey !== undefined && change !== undefined) report(change);
      if (trust.size > 0 && stranger !== undefined) report(stranger);
      else if (trust.size > 0 && signedSeq === undefined) {
        const text = isSeen ? 'no checkpoint is signed by a trusted key' : 'there is no checkpoint';
        report({ kind: 'untrusted', ...last, text });
      }
      return { signedSeq, keys: [...keys] };
    },
  };

  function expect(file: string, text: string): void {
    const line = text.trimEnd();
    const link = readLink(Buffer.from(line));
    const record = parseLine(line);
    const signed = unsignedLine(line);
    const key = record?.['key'];
    const isRight =
      typeof key !== 'string' || (signed !== undefined && isSignedBy(key, signed.text, signed.signature));
    if (link === undefined || !link.isIntact || !isRight) {
      report({
        kind: 'bad-signature',
        file,
        line: 1,
        seq: link?.seq,
        text: 'this is not a checkpoint as it was written',
      });
      return;
    }
    expected.set(link.seq, { file, hash: link.hash, key });
  }
}
