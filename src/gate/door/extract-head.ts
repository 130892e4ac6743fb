// The text that the key of the journal signs for an extract.

import { formatTime } from '../../host/words/instants.js';

export interface ExtractFacts {
  /** The range of examined records; `fromSeq` above `toSeq`: none. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Some lines were unreadable, so rows may be missing. */
  readonly isDamaged: boolean;
  /** SHA-256 in hex over the rows, each in the form of `formatJsonRow` and with an LF. */
  readonly sha256: string;
}

export interface SignedExtract {
  readonly head: string;
  readonly signature: string;
}

export interface ExtractTitle extends ExtractFacts {
  readonly timeMs: number;
  readonly by: string;
  readonly users: readonly string[] | undefined;
  /** Words of `formatFilter`. */
  readonly filter: readonly string[];
  readonly rows: number;
  /** The public key, in base64. */
  readonly key: string;
  /** `owner`: the rows are the view for the owner of the mailbox instead of records. */
  readonly shown?: 'owner' | undefined;
}

export function formatExtractHead(title: ExtractTitle): string {
  const { timeMs, by, users, shown, filter, rows, fromSeq, toSeq, isDamaged, sha256, key } = title;
  const view = users ?? 'all records';
  return JSON.stringify({
    extract: 1,
    time: formatTime(timeMs),
    by,
    view,
    shown,
    filter,
    from_seq: fromSeq,
    to_seq: toSeq,
    damaged: isDamaged,
    rows,
    sha256,
    key,
  });
}
