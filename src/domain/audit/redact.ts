// Values that a record must not hold and that one must still be able to compare: as HMAC-SHA256 under a key of this host.
// It does not know which values are secret: the catalog says that. The rule: what goes in here comes out as a digest only.

import { createHmac, randomBytes } from 'node:crypto';
import type { RecordedInput, Redacted } from './record.js';

/** Makes digests under one key. */
export interface Redactor {
  /** The HMAC over the UTF-8 text of a value, as `dovegate audit hmac` shows it. */
  redact(value: string): Redacted;
  /** For command input, which comes in pieces. */
  meterInput(): InputMeter;
}

/** Counts and digests one command's input. */
export interface InputMeter {
  take(bytes: Uint8Array): void;
  /** Once, at the end. */
  finish(): RecordedInput;
}

const keyBytesMin = 16;

/** `key`: the contents of the key file. Throws a RangeError when it is too short to keep anything secret. */
export function createRedactor(key: string | Uint8Array): Redactor {
  const bytes = Buffer.from(typeof key === 'string' ? key.replace(/\r?\n$/, '') : key);
  if (bytes.length < keyBytesMin) throw new RangeError(`an HMAC key has at least ${keyBytesMin} bytes`);
  return {
    redact: (value) => ({ hmac: createHmac('sha256', bytes).update(value, 'utf8').digest('hex') }),
    meterInput() {
      const hmac = createHmac('sha256', bytes);
      let count = 0;
      return {
        take(part) {
          count += part.length;
          hmac.update(part);
        },
        finish: () => ({ bytes: count, hmac: hmac.digest('hex') }),
      };
    },
  };
}

/** The contents of a new key file: 32 random bytes as hex, with LF. */
export function makeHmacKey(): string {
  return `${randomBytes(32).toString('hex')}\n`;
}
