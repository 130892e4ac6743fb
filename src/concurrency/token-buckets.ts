// Token buckets, one for each source: how often somebody may do something that costs work and records. It has no clock: times
// come in, from a clock that does not leap. The rule: the table is bounded, and a full table refuses new sources instead of
// forgetting one that has used up its tokens.

/** One for all sources. */
export interface TokenBuckets {
  /** Takes a token of a source. Undefined: there was one; else the time until the next one, in milliseconds. */
  take(source: string, nowMs: number): number | undefined;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Buckets that are full at first: `burst` tokens at once, and another one after every `refillMs`. */
export function createTokenBuckets(limits: {
  readonly burst: number;
  readonly refillMs: number;
  /** Sources that are told apart at once. */
  readonly sourcesMax: number;
}): TokenBuckets {
  const { burst, refillMs, sourcesMax } = limits;
  const buckets = new Map<string, Bucket>();

  return {
    take(source, nowMs) {
      let bucket = buckets.get(source);
      if (bucket === undefined) {
        if (buckets.size >= sourcesMax) forget(nowMs);
        if (buckets.size >= sourcesMax) return refillMs;
        bucket = { tokens: burst, atMs: nowMs };
        buckets.set(source, bucket);
      }
      bucket.tokens = tokensAt(bucket, nowMs);
      bucket.atMs = nowMs;
      if (bucket.tokens < 1) return Math.ceil((1 - bucket.tokens) * refillMs);
      bucket.tokens -= 1;
      return undefined;
    },
  };

  function tokensAt({ tokens, atMs }: Bucket, nowMs: number): number {
    return Math.min(burst, tokens + (nowMs - atMs) / refillMs);
  }

  /** A full bucket says nothing. */
  function forget(nowMs: number): void {
    for (const [source, bucket] of buckets) if (tokensAt(bucket, nowMs) >= burst) buckets.delete(source);
  }
}
