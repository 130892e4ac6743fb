// Entry of the thread that reads a configuration for a daemon which serves clients: parses it, and hands settings and problems over in
// pieces of text. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { readFromDisk } from '../adapters/host/process.js';
import { keeping } from '../domain/config/kept-files.js';
import { type ParsedSettings, parseSettings, reportProblems } from '../domain/config/parse-settings.js';
import type { Finding } from '../domain/config/problem.js';
import {
  type FileLine,
  type Piece,
  piecesOf,
  settingsLines,
  type ThreadOrder,
} from './configuration-lines.js';

if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  let parsed: ParsedSettings | undefined;
  let kept = '';
  let pieces = piecesOf([]);
  port.on('message', (order: ThreadOrder) => {
    if (order.kind === 'read') {
      const { file, nowMs } = order;
      const keeper = keeping(readFromDisk);
      parsed = parseSettings(file, keeper.read, { nowMs });
      kept = keeper.text(file, nowMs);
      pieces = piecesOf(readLines(parsed));
    } else if (order.kind === 'report' && parsed !== undefined) {
      pieces = piecesOf(reportLines(parsed, order.inspected, kept));
    }
    const { value, done } = pieces.next();
    const piece: Piece = { text: value ?? '', isLast: done === true };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(piece);
  });
}

/** One line for the main thread. */
const keptChars = 8 * 1024;

function* readLines({ files, settings }: ParsedSettings): Generator<string> {
  for (const [path, from] of files) yield JSON.stringify({ path, from } satisfies FileLine);
  yield '';
  if (settings !== undefined) yield* settingsLines(settings);
}

function* reportLines(
  parsed: ParsedSettings,
  inspected: readonly Finding[],
  kept: string,
): Generator<string> {
  const { found, problems } = reportProblems(parsed, inspected);
  for (const [index, problem] of found.entries()) yield JSON.stringify([problem, problems[index]]);
  for (let at = 0; at < kept.length; at += keptChars) yield JSON.stringify(kept.slice(at, at + keptChars));
}
