// The authority whose time stamps are taken, of a gate (`audit.stamps`) and of a fleet's verifier (`stamps`).

import type * as z from 'zod';
import { as, ca, file, parsed, section, urlOf } from './schema-parts.js';

export const stampsSchema = section(
  'the settings of time stamps',
  {
    // Plain http: is permitted: a stamp is signed, and the request shows a hash of a checkpoint and nothing of the records.
    url: parsed('a URL, as https://tsa.example.com/tsr', (written) =>
      urlOf(written, 'https://tsa.example.com/tsr', 'an authority that asks for one cannot be used'),
    )
      .transform((url) => url.href)
      .describe('URL of an authority that answers by RFC 3161, `http:` or `https:`'),
    authority: as('authorityFile', file('a file with the certificates of the authority (PEM)')).describe(
      'certificates that its stamps must chain to, PEM',
    ),
    ca,
  },
  'a time stamp over the journal each day, from an authority that the machine cannot change',
  {
    'no-effect': {
      'ca: has no effect: the URL is http:': ({ url }) => url.startsWith('http:'),
      'url: what stands behind # in a URL is never sent; take it out': ({ url }) => url.includes('#'),
    },
  },
);

export type StampSettings = z.infer<typeof stampsSchema>;
