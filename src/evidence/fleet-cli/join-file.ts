// The file that `fleet prepare` makes for a gate and `fleet join` reads there: one line of JSON with the names, the authority of the
// server's certificate, the gate's credentials, and the public keys that the fleet has. With it one can send records as this gate.

import * as z from 'zod';
import { text } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { isHostWord, verifierName } from '../../rules/config/fleet-names.js';
import { verifierKeysIn } from '../fleet/checkpoint.js';

const format = 'dovegate-fleet-join-1';
export const joinBytesMax = 64 * 1024;
const part = text(joinBytesMax);

/** Values for a configuration have no quotes, blanks or line ends. */
const joinFile = z.object({
  host: z.string().refine((host) => isHostWord(host) && host !== verifierName),
  /** As in `nats` of a configuration: `tls://nats1.example.com:4222`, several with commas. */
  servers: z.string().regex(/^[\w:/.,[\]-]+$/),
  stream: z.string().regex(/^[\w-]+$/),
  authority: part,
  credentials: part,
  /** By the name of each verifier, its `checkpoint.pub`: the gate keeps records until one of them has mirrored them. */
  verifiers: z.record(
    z.string().refine(isHostWord),
    part.refine((keys) => verifierKeysIn(keys) !== undefined),
  ),
});
export type JoinFile = Readonly<z.infer<typeof joinFile>>;

export function formatJoinFile(file: JoinFile): string {
  return `${JSON.stringify({ format, ...file })}\n`;
}

export function parseJoinFile(given: string): JoinFile | undefined {
  const value = given.length > joinBytesMax ? undefined : parseLine(given);
  return value?.['format'] === format ? joinFile.safeParse(value).data : undefined;
}
