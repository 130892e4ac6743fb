// What a decoder answers, as text: the value, or the fault with its code; for each chunk, with the bytes that are held then. `|` in an
// input cuts it into chunks.
import { WireFault } from '../../src/ports/faults.js';

export const cut = (text: string): Buffer[] => text.split('|').map((piece) => Buffer.from(piece, 'latin1'));

/** As JSON, bytes as text. */
export function plain(value: unknown): string {
  const isBytes = (one: unknown): one is { readonly data: number[] } =>
    typeof one === 'object' && one !== null && 'type' in one && one.type === 'Buffer' && 'data' in one;
  return (
    JSON.stringify(value, (_, one: unknown) =>
      isBytes(one) ? Buffer.from(one.data).toString('latin1') : one,
    ) ?? 'undefined'
  );
}

/** The value, or the fault as `CODE: MESSAGE`. */
export function outcome(ask: () => unknown): string {
  try {
    return plain(ask());
  } catch (fault) {
    return fault instanceof WireFault ? `${fault.code}: ${fault.message}` : String(fault);
  }
}

interface Decoder {
  push(chunk: Buffer): unknown;
  readonly pendingBytes: number;
}

/** For each chunk what came of it, and the bytes held then; then what `end` says. */
export function steps(decoder: Decoder, text: string, end?: () => unknown): string {
  const told = cut(text).map((chunk) => `${outcome(() => decoder.push(chunk))} ${decoder.pendingBytes}`);
  if (end !== undefined) told.push(`end: ${outcome(end)} ${decoder.pendingBytes}`);
  return told.join('\n');
}
