// The recorded sessions as the runner uses them.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { createServerReader, shown } from './wire.mjs';

const here = (path) => new URL(path, import.meta.url);
/** In the package beside this file; in the checkout, where tests read them, too. */
const folder = [here('./vectors/'), here('../../test/vectors/')].find(existsSync);

/** What a family needs, and how its answers are compared; README.md says what each word means. */
export const plays = JSON.parse(readFileSync(here('./plays.json'), 'utf8'));

/** Families of sessions in the order of their names, from `folder` or from the package. */
export function families(role, from = folder) {
  const path = (name) => (from instanceof URL ? new URL(name, from) : `${from}/${name}`);
  return readdirSync(from)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .toSorted()
    .map((name) => ({ name, sessions: JSON.parse(readFileSync(path(`${name}.json`), 'utf8')) }))
    .filter(({ sessions }) => sessions[0]?.role === role);
}

/** What the server of a recorded session said, up to each step. Throws when the session says of itself what its bytes do not say. */
export function heardIn(session, steps = session.steps) {
  const reader = createServerReader(session.minor);
  for (const { dir, hex, eof } of steps) {
    if (dir === 's2c' && hex !== undefined) reader.push(Buffer.from(hex, 'hex'));
    if (dir === 's2c' && eof === true) reader.end();
  }
  if (session.role === 'server' && steps === session.steps) assertExpected(session, reader.heard);
  return reader.heard;
}

/** Bytes (latin1) as `expect` has them. */
export function cellOf(latin1) {
  const bytes = Buffer.from(latin1, 'latin1');
  if (bytes.length <= 600) return shown(latin1);
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** What was heard in the form of `expect`. */
export function expectOf(heard) {
  const { replies, logs, eof, partial } = heard;
  const texts = [
    ...replies.map(({ cells, text, status }) => ({
      ...(cells === undefined ? { text: shown(text) } : { cells: cells.map(cellOf) }),
      status: shown(status),
    })),
    ...(partial === '' ? [] : [{ partial: cellOf(partial) }]),
  ];
  return {
    ...(texts.length > 0 && { replies: texts }),
    ...(logs.length > 0 && { logs: logs.map(({ type, text }) => ({ type, text: shown(text) })) }),
    ...(eof && { eof }),
  };
}

function assertExpected({ name, expect }, heard) {
  // A session of the handshake alone has none.
  if (expect === undefined) return;
  const { output_hex: begin, replies = [], ...rest } = expect;
  if (begin !== undefined) {
    const bytes = Buffer.from(heard.output, 'latin1').toString('hex');
    if (!bytes.startsWith(begin)) throw new Error(`${name}: its bytes do not begin with its output_hex`);
  } else if (!isDeepStrictEqual(expectOf(heard), { ...(replies.length > 0 && { replies }), ...rest }))
    throw new Error(`${name}: its bytes say ${JSON.stringify(expectOf(heard)).slice(0, 2000)}`);
}
