// The file that `fleet prepare` makes for a gate and `fleet join` reads there: one line of JSON with the names, the authority, and the
// gate's certificate and private key. With it one can send records as this gate.

import { bounds } from '../../bounds/bounds.js';
import { parseLine } from '../../domain/records/audit/record.js';
import { isObject } from '../../domain/records/audit/stored.js';
import { isHostWord, verifierName } from '../../domain/records/fleet/block.js';

export interface JoinFile {
  readonly host: string;
  /** As in `nats` of a configuration: `tls://nats1.example.com:4222`, several with commas. */
  readonly servers: string;
  readonly stream: string;
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const format = 'dovegate-fleet-join-1';
export const joinBytesMax = bounds.joinFileBytes;

export function formatJoinFile(file: JoinFile): string {
  return `${JSON.stringify({ format, ...file })}\n`;
}

export function parseJoinFile(text: string): JoinFile | undefined {
  const value = text.length > joinBytesMax ? undefined : parseLine(text);
  if (!isObject(value) || value['format'] !== format) return undefined;
  const { host, servers, stream, authority, certificate, key } = value;
  const texts = [host, servers, stream, authority, certificate, key];
  if (!texts.every((each): each is string => typeof each === 'string')) return undefined;
  const [name = '', where = '', into = '', ca = '', pem = '', secret = ''] = texts;
  if (!isHostWord(name) || name === verifierName) return undefined;
  // Values for a configuration have no quotes, blanks or line ends.
  if (!/^[\w:/.,[\]-]+$/.test(where) || !/^[\w-]+$/.test(into)) return undefined;
  return { host: name, servers: where, stream: into, authority: ca, certificate: pem, key: secret };
}
