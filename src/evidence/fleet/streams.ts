// The state of the streams: their strength now and before, their fill, and rights that are too wide. The earlier strength of a stream is
// kept until a person accepts less.

import type { StreamConfig } from '../streams/made.js';
import {
  describeFill,
  describeWeakness,
  judgeStrength,
  maxBytesOf,
  type StreamRow,
  type Strength,
  strengthOf,
  strongest,
  type WantedStream,
} from '../streams/strength.js';
import { noHost } from './findings.js';
import type { KnownStream } from './saved.js';
import type { FleetFinding } from './shapes.js';

export interface DescribedStream {
  readonly stream: string;
  /** The one host whose records it takes; undefined: it takes those of all. */
  readonly host?: string | undefined;
  readonly config: StreamConfig;
  readonly bytes: number;
  readonly wanted: WantedStream;
}

export interface SignedStrength extends Strength {
  readonly stream: string;
}

export class Streams {
  readonly #best = new Map<string, Strength>();
  readonly #last = new Map<string, Strength>();
  readonly #seen = new Map<string, DescribedStream>();
  #rights: readonly string[] = [];

  load(known: readonly KnownStream[]): void {
    for (const { stream, best, last } of known) {
      this.#best.set(stream, best);
      this.#last.set(stream, last);
    }
  }

  save(): readonly KnownStream[] {
    return [...this.#best].map(([stream, best]) => ({ stream, best, last: this.#last.get(stream) ?? best }));
  }

  see(seen: DescribedStream): void {
    this.#seen.set(seen.stream, seen);
    this.#last.set(seen.stream, strengthOf(seen.config));
  }

  seeRights(texts: readonly string[]): void {
    this.#rights = texts;
  }

  /** A line that was kept elsewhere states this strength. */
  remember(kept: readonly SignedStrength[]): void {
    for (const { stream, replicas, maxAgeMs } of kept) {
      const strength = { replicas, maxAgeMs };
      this.#best.set(stream, strongest(this.#best.get(stream) ?? strength, strength));
    }
  }

  /** `signed`: by the last signed line in the stream, for a stream without another stored strength. */
  judge(signed: readonly SignedStrength[]): readonly FleetFinding[] {
    const findings: FleetFinding[] = this.#rights.map((text) => ({ kind: 'weakened', host: noHost, text }));
    for (const [stream, { host = noHost, config, wanted }] of this.#seen) {
      if (!this.#best.has(stream)) this.remember(signed.filter((one) => one.stream === stream));
      const before = this.#best.get(stream);
      const weak = judgeStrength(config, wanted, before);
      if (weak.length > 0) findings.push({ kind: 'weakened', host, text: describeWeakness(stream, weak) });
      const now = strengthOf(config);
      this.#best.set(stream, before === undefined ? now : strongest(before, now));
    }
    return findings;
  }

  /** The present strength is sufficient from now on; returns how many streams are weaker than before. */
  accept(): number {
    let count = 0;
    for (const [stream, best] of this.#best) {
      const last = this.#last.get(stream) ?? best;
      if (JSON.stringify(strongest(best, last)) === JSON.stringify(last)) continue;
      this.#best.set(stream, last);
      count += 1;
    }
    return count;
  }

  strengths(): readonly SignedStrength[] {
    return [...this.#best].map(([stream, best]) => ({ stream, ...best }));
  }

  rows(): readonly StreamRow[] {
    return [...this.#seen].map(([stream, { bytes, config }]) => {
      const maxBytes = maxBytesOf(config);
      const row = { stream, bytes, ...(maxBytes > 0 && { maxBytes }) };
      const text = describeFill(row);
      return text === undefined ? row : { ...row, filling: text };
    });
  }
}
