// Asks a person at a terminal, one line a question, on stderr; stdout is for results. Ctrl-C or the end of the input cancels a question.

import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';

export type Interview = ReturnType<typeof openInterview>;

const lineMax = 8192;

export function openInterview(
  input: NodeJS.ReadableStream = process.stdin,
  output: NodeJS.WritableStream = process.stderr,
) {
  let isHidden = false;
  const shown = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!isHidden) output.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input, output: shown, terminal: true, historySize: 0 });
  const typed: string[] = [];
  let waiting: { take(line: string): void; giveUp(): void } | undefined;
  let isOver = false;
  // Pasted lines can arrive before their questions; they answer them in order.
  lines.on('line', (line) => {
    if (waiting === undefined) typed.push(line.slice(0, lineMax));
    else waiting.take(line.slice(0, lineMax));
  });
  lines.on('SIGINT', () => lines.close());
  lines.on('close', () => {
    isOver = true;
    waiting?.giveUp();
  });
  /** Rejects with a CommandFault if the person cancels. */
  const lineAfter = (prompt: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const giveUp = (): void => {
        output.write('\n');
        reject(new CommandFault(exitCodes.failed, 'dovegate: given up; nothing was written'));
      };
      output.write(prompt);
      const before = typed.shift();
      if (before !== undefined) return resolve(before);
      if (isOver) return giveUp();
      waiting = {
        take(line) {
          waiting = undefined;
          resolve(line);
        },
        giveUp,
      };
    });
  return {
    /** Without blanks around it. */
    async ask(prompt: string): Promise<string> {
      return (await lineAfter(prompt)).trim();
    },
    /** As it was typed. */
    async askHidden(prompt: string): Promise<string> {
      isHidden = true;
      try {
        return await lineAfter(prompt);
      } finally {
        isHidden = false;
        output.write('\n');
      }
    },
    close(): void {
      waiting = undefined;
      lines.close();
    },
  };
}
