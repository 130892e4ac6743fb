// Entry of the thread that reads a configuration for a daemon which serves clients: parses it, and hands settings and problems over in
// pieces of text. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { readFromDisk } from '../adapters/host/process.js';
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
  let pieces = piecesOf([]);
  port.on('message', (order: ThreadOrder) => {
    if (order.kind === 'read') {
      parsed = parseSettings(order.file, readFromDisk, { nowMs: order.nowMs });
      pieces = piecesOf(readLines(parsed));
    } else if (order.kind === 'report' && parsed !== undefined) {
      pieces = piecesOf(problemLines(parsed, order.inspected));
    }
    const { value, done } = pieces.next();
    const piece: Piece = { text: value ?? '', isLast: done === true };
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(piece);
  });
}

function* readLines({ files, settings }: ParsedSettings): Generator<string> {
  for (const [path, from] of files) yield JSON.stringify({ path, from } satisfies FileLine);
  yield '';
  if (settings !== undefined) yield* settingsLines(settings);
}

function* problemLines(parsed: ParsedSettings, inspected: readonly Finding[]): Generator<string> {
  const { found, problems } = reportProblems(parsed, inspected);
  for (const [index, problem] of found.entries()) yield JSON.stringify([problem, problems[index]]);
}
