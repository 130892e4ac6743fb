// The requests and answers in test/vectors/http: what real servers answered, and what known clients send (see its README).

import { readFileSync } from 'node:fs';
import { projectRoot } from './root.js';

/** Releases whose answers were captured. */
export const recordedReleases = ['2.3.19.1', '2.4.1'] as const;
export type RecordedRelease = (typeof recordedReleases)[number];

export interface HttpTranscript {
  readonly name: string;
  readonly head: string;
  readonly body?: string;
  readonly body_hex?: string;
  /** Null: closed without an answer. */
  readonly answers: Readonly<Record<RecordedRelease, string | null>>;
}

export interface ClientRequest {
  readonly name: string;
  readonly method?: 'GET';
  readonly body?: string;
  readonly expects: string;
  readonly unlike?: string;
  readonly ofNow?: true;
  readonly only24?: true;
  readonly refusedOnly?: true;
}

export interface HttpClientVector {
  readonly client: string;
  readonly file: string;
  readonly version: string;
  readonly reader: 'first' | 'three-and-tag' | 'by-tag' | 'count-and-tag';
  readonly authorization: 'key' | 'password' | 'key or password';
  readonly headers: Readonly<Record<string, string>>;
  readonly chunked?: true;
  readonly note: string;
  readonly requests: readonly ClientRequest[];
}

const folder = new URL('test/vectors/http/', projectRoot);

/** The 78 requests, in the order in which they were sent. */
export function httpTranscripts(): readonly HttpTranscript[] {
  return JSON.parse(readFileSync(new URL('transcripts.json', folder), 'utf8'));
}

/** Where dovegate answers in another way, by request and release, and why. */
export interface HttpDifferences {
  /** `row`: of the contract; `dovecot`, `dovegate` and `why`: a row of the page for panels. */
  readonly reasons: Readonly<
    Record<
      string,
      { readonly row: number; readonly dovecot: string; readonly dovegate: string; readonly why: string }
    >
  >;
  readonly requests: Readonly<Record<string, Readonly<Partial<Record<RecordedRelease, string>>>>>;
}

export function httpDifferences(): HttpDifferences {
  return JSON.parse(readFileSync(new URL('differences.json', folder), 'utf8'));
}

/** What known clients send. */
export function httpClients(): readonly HttpClientVector[] {
  return JSON.parse(readFileSync(new URL('clients.json', folder), 'utf8'));
}

/** The bytes of a request; `authorization` is the value of a login that is right. */
export function transcriptBytes({ head, body, body_hex }: HttpTranscript, authorization: string): Buffer {
  const rest = body_hex === undefined ? Buffer.from(body ?? '') : Buffer.from(body_hex, 'hex');
  return Buffer.concat([Buffer.from(head.replace('{AUTH}', authorization)), rest]);
}

/** The release whose answers are for a version (`2.4.1-4` of a package), if there is one. */
export function recordedReleaseOf(version: string): RecordedRelease | undefined {
  return recordedReleases.find((release) => version === release || version.startsWith(`${release}-`));
}
