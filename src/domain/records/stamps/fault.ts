// Why there is no time stamp, or why one proves nothing: a closed list, so that no word of an authority gets into a log, a metric or a
// page.

/** By code: what happened, and what to do. In the order of docs/messages.md. */
export const stampCodes = {
  'unknown-host': [
    'the host name of the authority is unknown, or no name server answers (ENOTFOUND)',
    'correct `url`, or repair the name server',
  ],
  'connection-refused': [
    'the host of the authority refuses the connection: nothing listens at that port (ECONNREFUSED)',
    'correct `url`, or ask the authority',
  ],
  unreachable: [
    'the authority cannot be reached, or it ended the connection',
    'let this machine connect to it, or correct `url`',
  ],
  timeout: ['no whole answer came in time', 'let this machine connect to it, or take another authority'],
  'tls-failed': [
    'the certificate of its server is not trusted, is for another name, or what came is not TLS',
    'correct `ca` or `url`',
  ],
  redirected: ['it answers with a redirect, which is not followed', 'write the `url` that it redirects to'],
  status: ['it answers with an HTTP status that is no success', 'correct `url`, or ask the authority'],
  'not-http': ['its answer is not HTTP, or too long', 'correct `url`'],
  'ca-file': ['`ca`, or the list of authorities of the system, cannot be used', 'correct `ca`'],
  'authority-file': [
    '`authority` cannot be read, or holds no certificate',
    'put the certificates there, as PEM, that the stamps must chain to',
  ],
  refused: ['the authority gave no stamp', 'ask the authority what it accepts, or take another one'],
  malformed: [
    'this is not the answer of a time stamp authority, or it is cut',
    'correct `url`; of a stored stamp: take another copy',
  ],
  'other-bytes': [
    'it is the stamp of other bytes than those beside it',
    'look for the copy where its own bytes lie beside it; if there is none, one of the two was replaced',
  ],
  'other-hash': ['it is not over a SHA-256', 'take an authority that stamps a SHA-256'],
  'other-nonce': [
    'it answers another request: an answer was replayed on its way',
    'take https:, and find out who is between this machine and the authority',
  ],
  'bad-signature': [
    'its signature is not right: it was changed, or another key made it',
    'take another copy; if there is none, the stamp is forged',
  ],
  untrusted: [
    'it does not chain to a certificate of `authority`: somebody else made it',
    'compare `authority` with the certificates that the authority publishes; if they are the same, the stamp is forged',
  ],
  'not-valid-then': [
    'a certificate of its authority was not valid at the time of the stamp',
    'ask the authority for a new certificate; such a stamp proves no time',
  ],
  'wrong-purpose': [
    'the certificate that signed it is not for time stamps alone',
    'take the certificates of a time stamp authority for `authority`',
  ],
  weak: ['a key or hash of it is too weak to prove anything', 'take another authority'],
  'too-early': [
    'its time is before that of the checkpoint in it: the clock of its host was ahead, or the authority lies',
    'set the clock of that host by NTP; if it was right, take another authority',
  ],
  'too-late': [
    'it was made long after later checkpoints: its record may have been written anew until then, or the clock of its host was behind',
    'compare the record with a copy from before that time',
  ],
  'clocks-apart': [
    'the clocks of this machine and of the authority are more than five minutes apart',
    'set the clock by NTP; if it is right, take another authority',
  ],
  'other-day': [
    'its name is another day than that of its time',
    'give it the name of its day; if that file is there, one of the two was replaced',
  ],
  unsigned: [
    'there is no signed checkpoint to be stamped yet',
    'wait for the first one; of a gate, `dovegate audit verify` says what is signed',
  ],
  'journal-unreadable': ['a file of the journal cannot be read', '`dovegate audit verify`'],
  'state-file': ['the stamp cannot be stored', 'give the process its state directory (`--state`)'],
  internal: ['a bug of ours', 'tell us'],
} as const satisfies Readonly<Record<string, readonly [means: string, ask: string]>>;

export type StampFaultCode = keyof typeof stampCodes;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a closed table
export const stampFaultCodes = Object.keys(stampCodes) as [StampFaultCode, ...StampFaultCode[]];

export class StampFault extends Error {
  override readonly name = 'StampFault';
  readonly code: StampFaultCode;

  /** `detail`: of a closed list or a number, in the sentence. */
  constructor(code: StampFaultCode, detail = '', cause?: unknown) {
    super(detail === '' ? stampCodes[code][0] : `${stampCodes[code][0]} (${detail})`, { cause });
    this.code = code;
  }

  /** What to do. */
  get ask(): string {
    return stampCodes[this.code][1];
  }
}
