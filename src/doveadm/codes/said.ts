// Reads the code of a sentence of dovegate, for clients.

import { isCode, type Said } from './codes.js';

const form = /^dovegate: (.*) \[([a-z0-9-]+)\](?:, try again in (\d{1,9}) s)?(?:, id ([0-9A-Z]{26}))?$/s;

/** Parses a log line. Undefined: it is not dovegate's, or has no code known to this release. */
export function readSaid(text: string): Said | undefined {
  const [, sentence = '', code = '', seconds, id] = form.exec(text) ?? [];
  if (!isCode(code)) return undefined;
  return { code, sentence, retryAfterS: seconds === undefined ? undefined : Number(seconds), id };
}

/** Parses an error of the HTTP API in the same way. */
export function readSaidOfJson(error: Readonly<Record<string, unknown>>): Said | undefined {
  const { code, message, retryAfter, id } = error;
  if (!isCode(code)) return undefined;
  return {
    code,
    sentence: typeof message === 'string' ? message : '',
    retryAfterS: typeof retryAfter === 'number' ? retryAfter : undefined,
    id: typeof id === 'string' ? id : undefined,
  };
}
