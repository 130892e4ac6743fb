// A gate of which there is only the journal: lines by the ledger itself, in blocks as a gate puts them, made one after the other
// and kept nowhere.

import { randomBytes } from 'node:crypto';
import type { BlockName } from '../../../../src/evidence/store/names.js';
import { createUlidSource } from '../../../../src/gate/daemon/ulid.js';
import { encodeBody } from '../../../../src/journal/records/encode.js';
import { Ledger } from '../../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../../src/rules/keys/sign-key.js';
import type { Lines } from '../../fleet/fleet-lab.js';
import { exchange } from './journal.js';

/** As a gate under load puts its journal. */
const blockBytes = 256 << 10;
const blockLines = 500;
const checkpointEvery = 20_000;
/** As a gate cuts its journal. */
const segmentBytes = 64 << 20;

export interface Block {
  readonly name: BlockName;
  readonly text: Buffer;
}

export interface SimulatedHost {
  readonly host: string;
  /** Base64. */
  readonly key: string;
  readonly records: number;
  /** Undefined: it has made all of its records. */
  nextBlock(): Block | undefined;
  /** One more record, also behind all of them. */
  checkpoint(): Lines;
}

export function simulateHost(host: string, records: number): SimulatedHost {
  const journal = randomBytes(16).toString('hex');
  const signKey = makeSignKey();
  const ledger = new Ledger('dovegate bench', signKey.secretPem, journal);
  const names = { journal, format: 1, program: 'dovegate bench', catalog: 'ca'.repeat(32) };
  const nextId = createUlidSource();
  let exchanges = 0;
  let nextCheckpoint = 2;
  let segments = 0;
  let bytesLeft = segmentBytes;

  /** The next lines: a start, an exchange, or a checkpoint. */
  const nextLines = (): string => {
    const at = Date.now();
    if (ledger.seq === 0) return ledger.seal(encodeBody({ time: at, event: 'start', ...names }));
    if (bytesLeft <= 0) {
      segments += 1;
      bytesLeft = segmentBytes;
      const begin = ledger.beginSegment(`${String(segments).padStart(8, '0')}.jsonl`);
      return ledger.sealSigned({ ...ledger.checkpoint(at), ...begin });
    }
    if (ledger.seq >= nextCheckpoint || ledger.seq >= records - 2) {
      nextCheckpoint = ledger.seq + checkpointEvery;
      return ledger.sealSigned(ledger.checkpoint(at));
    }
    exchanges += 1;
    const pair = exchange(exchanges, at, nextId(at, randomBytes(10)));
    return pair.map((record) => ledger.seal(encodeBody(record))).join('');
  };
  return {
    host,
    key: signKey.key,
    records,
    checkpoint() {
      const line = ledger.sealSigned(ledger.checkpoint(Date.now()));
      ledger.settle();
      return { id: journal, lines: [line] };
    },
    nextBlock() {
      const first = ledger.seq + 1;
      if (first > records) return undefined;
      const lines: string[] = [];
      for (let bytes = 0; bytes < blockBytes && ledger.seq < first + blockLines && ledger.seq < records; ) {
        const text = nextLines();
        lines.push(text);
        bytes += text.length;
        bytesLeft -= text.length;
      }
      // A ledger keeps what ended until it is told that this is on disk.
      ledger.settle();
      const name = {
        kind: 'block',
        host,
        journal,
        first,
        last: ledger.seq,
        hash: ledger.hash,
        isCopy: false,
      } as const;
      return { name, text: Buffer.from(lines.join('')) };
    },
  };
}
