// What the screen "proof" says of a journal, from what the daemon knows of it.

import type { Proof, VerifyProgress } from '../../evidence/views/proof.js';
import { bytesWords, countWords, plural } from '../../host/words/words.js';

export interface ProofState {
  readonly tone: 'good' | 'quiet' | 'bad';
  readonly title: string;
  /** Times in them are marked, as in sentences of the daemon. */
  readonly sentences: readonly string[];
  readonly steps: readonly string[];
}

export function judgeProof({ last, seq, started, oldestSeq }: Proof): ProofState {
  if (last === undefined)
    return {
      tone: 'quiet',
      title: 'The whole journal is not checked yet',
      sentences: [
        `Nobody has had all of it checked here since dovegate was started at {${started}}: that is no sign of a fault.`,
        'A report of a mailbox checks what it needs by itself, and its verdict holds without this one.',
        'A check reads every record and every signature. Commands do not become slower by it.',
      ],
      steps: [],
    };
  const { isWhole, fromSeq, toSeq, fromTime, toTime, records, at, by } = last;
  const { signedBy, signedSeq, signedTime } = last;
  const checked = `${by} had it checked at {${at}}: ${plural(records, 'record', 'records')}${
    fromSeq === undefined || toSeq === undefined ? '' : `, ${countWords(fromSeq)} to ${countWords(toSeq)}`
  }${fromTime === undefined || toTime === undefined ? '' : `, of {${fromTime}} to {${toTime}}`}.`;
  const newer = seq - (toSeq ?? 0);
  const since =
    newer > 0
      ? [`${plural(newer, 'record was', 'records were')} written since then, which this check has not seen.`]
      : [];
  const gone =
    isWhole && oldestSeq !== undefined && fromSeq !== undefined && oldestSeq > fromSeq
      ? [`Since then records before ${countWords(oldestSeq)} were retired.`]
      : [];
  if (isWhole)
    return {
      tone: 'good',
      title: 'Nothing is changed or missing',
      sentences: [
        checked,
        ...(signedSeq === undefined || signedBy === undefined
          ? []
          : [
              `All records up to ${countWords(signedSeq)} are under a signature of the key ${signedBy}${signedTime === undefined ? '' : `, of {${signedTime}}`}.`,
            ]),
        ...since,
        ...gone,
      ],
      steps: [],
    };
  return {
    tone: 'bad',
    title: `The journal is not whole: ${plural(last.faultCount, 'fault', 'faults')}`,
    sentences: [checked, ...since],
    steps: [
      'Copy the directory of the journal to another machine now, before retention removes anything from it.',
      'Compare it with the copies of the receivers, and with the checkpoints in the log.',
      'Run "dovegate audit verify" as root on this host: it names each place, and accepts a key that was changed on purpose.',
    ],
  };
}

/** `40 %, 2.0 GiB of 5.0 GiB, record 1,234`. */
export function progressWords({ bytes, ofBytes, seq }: VerifyProgress): string {
  // A running daemon appends to the journal while it is read.
  const read = Math.min(bytes, ofBytes);
  const percent = Math.floor(ofBytes === 0 ? 0 : (read / ofBytes) * 100);
  const at = seq === 0 ? '' : `, at record ${countWords(seq)}`;
  return `${percent} %, ${bytesWords(read)} of ${bytesWords(ofBytes)}${at}`;
}
