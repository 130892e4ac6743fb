// Entry of the thread that reads a configuration for a daemon which serves clients: parses it, and hands over the settings as one text,
// then the problems. Main-thread code never imports it.

import assert from 'node:assert/strict';
import { parentPort } from 'node:worker_threads';
import { readFromDisk } from '../../host/machine/process.js';
import { serveOrders } from '../../host/threads/thread.js';
import { keeping } from '../config/kept-files.js';
import { type ParsedSettings, parseSettings, reportProblems } from '../config/parse-settings.js';
import { settingsText, type ThreadAnswer, type ThreadOrder } from './configuration-text.js';

let parsed: ParsedSettings | undefined;
let kept = '';

if (parentPort !== null) serveOrders(parentPort, carryOut);

function carryOut(order: ThreadOrder): ThreadAnswer {
  if (order.kind === 'report') {
    assert.ok(parsed !== undefined);
    return { kind: 'report', report: reportProblems(parsed, order.inspected), kept };
  }
  const { file, nowMs } = order;
  const keeper = keeping(readFromDisk);
  parsed = parseSettings(file, keeper.read, { nowMs });
  kept = keeper.text(file, nowMs);
  const { files, settings } = parsed;
  return { kind: 'read', files, text: settings && settingsText(settings) };
}
