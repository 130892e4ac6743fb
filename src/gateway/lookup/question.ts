// Owns what we say to Dovecot's auth service: the VERSION line, and questions about users.
//
//     VERSION TAB 1 TAB 1 LF
//     USER TAB 7 TAB alice@example.org TAB service=doveadm LF
//     PASS TAB 8 TAB alice@example.org TAB service=doveadm LF
//     LIST TAB 9 TAB service=doveadm TAB user=* LF
//
// This is the protocol of listeners of type userdb and master (src/auth/auth-master-connection.c of Dovecot), not the SASL one.
// The rule: one line that the service does not like ends the transport with every other question on it (measured on 2.3.13
// to 2.4.5), so what it does not like is never written.

/** What is asked about one user: `pass` asks the passdb (where is he served), `user` the userdb (who is he here). */
export type QuestionKind = 'pass' | 'user';

/** Why a name cannot be asked for. */
export type UnaskableCode = 'empty' | 'character' | 'too-long';

/** To be written at once after connecting, before or after the greeting was read. Nothing depends on the minors. */
export const versionLine = 'VERSION\t1\t1\n';

/** Ids are decimal, from 0 to this; one more ends the transport. */
export const questionIdMax = 0xffff_ffff;

/** A question's bytes with its LF. One more, and the service closes without a word (measured: 1024 works, 1025 does not). */
export const questionBytesMax = 1024;

const commandOf = { pass: 'PASS', user: 'USER' } as const;
/** Demanded by every release; it chooses passdbs and settings, and doveadm-server itself says the same. */
const service = 'service=doveadm';
const nameBytesMax = questionBytesMax - `PASS\t${questionIdMax}\t\t${service}\n`.length;
const maskBytesMax = questionBytesMax - `LIST\t${questionIdMax}\t${service}\tuser=\n`.length;

/**
 * Control characters: an escaped NUL cuts the name, so that `alice<NUL>junk` is answered for alice. `*`: the usual separator
 * between a user and a master user, by which the service would split the name.
 */
const neverInName = /[\0-\x1f\x7f*]/;
const neverInMask = /[\0-\x1f\x7f]/;

/** Why the service cannot be asked for this name; undefined: it can. */
export function whyUnaskable(user: string): UnaskableCode | undefined {
  return whyNot(user, neverInName, nameBytesMax);
}

/**
 * The question as a line. `user` must be askable. No address of a client is said, so a passdb entry with `allow_nets` is
 * not found.
 */
export function encodeQuestion(kind: QuestionKind, id: number, user: string): Buffer {
  checkId(id);
  const why = whyUnaskable(user);
  if (why !== undefined) throw new RangeError(`the name cannot be asked for: ${why}`);
  return Buffer.from(`${commandOf[kind]}\t${id}\t${user}\t${service}\n`);
}

/**
 * Asks for all users whose names match a mask with `*` and `?`. 2.3 ignores the mask and lists everybody, 2.4 says without one
 * that there is nobody: so there is always one, and who asks filters again. Wants a transport of its own: other
 * questions wait until the list is done.
 */
export function encodeList(id: number, mask: string): Buffer {
  checkId(id);
  const why = whyNot(mask, neverInMask, maskBytesMax);
  if (why !== undefined) throw new RangeError(`the mask cannot be asked for: ${why}`);
  return Buffer.from(`LIST\t${id}\t${service}\tuser=${mask}\n`);
}

function whyNot(text: string, never: RegExp, bytesMax: number): UnaskableCode | undefined {
  if (text === '') return 'empty';
  // A lone half of a pair would be written as another name.
  if (never.test(text) || /\p{Cs}/u.test(text)) return 'character';
  return Buffer.byteLength(text) > bytesMax ? 'too-long' : undefined;
}

function checkId(id: number): void {
  if (!Number.isInteger(id) || id < 0 || id > questionIdMax) throw new RangeError('id is out of range');
}
