// Searches large files for secrets, in clear and as base64, hex or JSON text. All patterns are searched for in one pass (Wu and Manber).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chunksOf } from './read-lines.js';
import type { Report } from './report.js';

interface Pattern {
  bytes: Buffer;
  /** Number of the secret, never its text. */
  secret: number;
  form: string;
}

/** A shorter text stands in other words by chance. */
const secretBytesMin = 4;

export async function checkSecrets(
  folder: string,
  secrets: readonly string[],
  report: Report,
): Promise<void> {
  const patterns = secrets.flatMap(formsOf).filter((one) => one.bytes.length >= secretBytesMin);
  if (patterns.length === 0) return;
  const search = createSearch(patterns);
  for (const path of filesOf(folder)) {
    const found = new Set<string>();
    let before = Buffer.alloc(0);
    for await (const chunk of readable(join(folder, path))) {
      const piece = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
      for (const pattern of search.find(piece)) {
        const what = `secret ${pattern.secret + 1} of run.json as ${pattern.form}`;
        if (!found.has(what)) report.add('secret', what, path);
        found.add(what);
      }
      before = Buffer.from(piece.subarray(Math.max(0, piece.length - search.overlap)));
    }
  }
}

/** A damaged segment is a finding of the chain; here its readable part counts. */
async function* readable(path: string): AsyncGenerator<Buffer> {
  try {
    yield* chunksOf(path);
  } catch {
    return;
  }
}

function filesOf(folder: string): string[] {
  const single = ['stream.jsonl', 'gate.log', 'page.log'].filter((name) => existsSync(join(folder, name)));
  const journal = join(folder, 'journal');
  const kept = existsSync(journal) ? readdirSync(journal, { recursive: true, withFileTypes: true }) : [];
  // The key of HMACs lies beside the segments, and is one of the files that hold a secret by design.
  const names = kept
    .filter((entry) => entry.isFile() && entry.name !== 'hmac.key' && entry.name !== 'reserve')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  return [...single, ...names.toSorted()];
}

function formsOf(secret: string, number: number): Pattern[] {
  const plain = Buffer.from(secret);
  const forms: Pattern[] = [{ bytes: plain, secret: number, form: 'it is' }];
  const quoted = JSON.stringify(secret).slice(1, -1);
  if (quoted !== secret) forms.push({ bytes: Buffer.from(quoted), secret: number, form: 'JSON' });
  if (plain.length < 8) return forms;
  forms.push({ bytes: Buffer.from(plain.toString('hex')), secret: number, form: 'hex' });
  // Base64 of a text that holds the secret somewhere: three ways to fall on the groups of three bytes.
  for (let shift = 0; shift < 3; shift += 1) {
    const padded = Buffer.concat([Buffer.alloc(shift), plain]);
    const whole = Math.floor(padded.length / 3) * 3;
    const encoded = padded.subarray(0, whole).toString('base64');
    const inner = shift === 0 ? encoded : encoded.slice(4);
    if (inner.length >= 8) forms.push({ bytes: Buffer.from(inner), secret: number, form: 'base64' });
  }
  return forms;
}

interface Search {
  overlap: number;
  find(piece: Buffer): Generator<Pattern>;
}

/** Looks at pairs of bytes: `shift` says how far the window can move on without missing the beginning of any pattern. */
export function createSearch(patterns: readonly { bytes: Buffer; secret: number; form: string }[]): Search {
  const window = Math.min(...patterns.map((one) => one.bytes.length));
  const shift = new Uint8Array(65_536).fill(Math.min(255, window - 1));
  const byPair = new Map<number, Pattern[]>();
  for (const pattern of patterns) {
    for (let at = 1; at < window; at += 1) {
      const pair = ((pattern.bytes[at - 1] ?? 0) << 8) | (pattern.bytes[at] ?? 0);
      shift[pair] = Math.min(shift[pair] ?? 0, window - 1 - at);
    }
    const last = ((pattern.bytes[window - 2] ?? 0) << 8) | (pattern.bytes[window - 1] ?? 0);
    byPair.set(last, [...(byPair.get(last) ?? []), pattern]);
  }
  return {
    overlap: Math.max(...patterns.map((one) => one.bytes.length)) - 1,
    *find(piece) {
      for (let at = window - 1; at < piece.length; ) {
        const pair = ((piece[at - 1] ?? 0) << 8) | (piece[at] ?? 0);
        const step = shift[pair] ?? 0;
        if (step > 0) {
          at += step;
          continue;
        }
        const from = at - window + 1;
        for (const pattern of byPair.get(pair) ?? []) {
          const end = from + pattern.bytes.length;
          if (end <= piece.length && piece.compare(pattern.bytes, 0, pattern.bytes.length, from, end) === 0)
            yield pattern;
        }
        at += 1;
      }
    },
  };
}
