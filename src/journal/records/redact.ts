// The digests that stand for secrets in records.

import { createHmac, randomBytes } from 'node:crypto';
import type { RecordedInput, Redacted } from './keys.js';

export interface Redactor {
  /** The HMAC over the UTF-8 text of a value, as `dovegate audit hmac` shows it. */
  redact(value: string): Redacted;
  /** For command input, which comes in pieces. */
  meterInput(): InputMeter;
}

export interface InputMeter {
  take(bytes: Uint8Array): void;
  /** Call once, at the end. */
  finish(): RecordedInput;
}

const keyBytesMin = 16;

/** `key`: the contents of the key file. Throws a RangeError if it is too short to be secret. */
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
