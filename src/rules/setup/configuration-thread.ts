// Entry of the thread that reads a configuration for a daemon which serves clients: parses it, and hands over the settings as one text,
// then the problems. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { readFromDisk } from '../../host/machine/process.js';
import { keeping } from '../config/kept-files.js';
import { type ParsedSettings, parseSettings, reportProblems } from '../config/parse-settings.js';
import { settingsText, type ThreadAnswers, type ThreadOrder } from './configuration-text.js';

if (parentPort !== null) begin(parentPort);

function begin(port: MessagePort): void {
  let parsed: ParsedSettings | undefined;
  let kept = '';
  const answer = (value: ThreadAnswers[keyof ThreadAnswers]): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(value);
  };
  port.on('message', (order: ThreadOrder) => {
    if (order.kind === 'read') {
      const { file, nowMs } = order;
      const keeper = keeping(readFromDisk);
      parsed = parseSettings(file, keeper.read, { nowMs });
      kept = keeper.text(file, nowMs);
      const { files, settings } = parsed;
      answer({ files, text: settings && settingsText(settings) });
    } else if (parsed !== undefined) answer({ report: reportProblems(parsed, order.inspected), kept });
  });
}
