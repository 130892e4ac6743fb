// What a file of tests says to the pool: diagnostics, skipped tests, Node's closing lines, and each failure once. A line that begins with a
// sign is of this file, and what belongs to it is indented; all other lines are of the tests themselves.
import { readFileSync, writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { fileLimitS } from './setup.mjs';

const indented = (text) => text.replace(/^/gm, '  ');

/** Without the lines of Node's own runner. */
const withoutInternals = (text) => text.replace(/\n +at [^\n]*\bnode:[^\n ]+$/gm, '');

/**
 * A handle that stays open keeps the process of a test alive for ever. After more time than any file takes, the process says which test
 * began last and what is still open, and exits. The timer itself does not keep the process alive.
 */
function endLate(names) {
  const end = () => {
    const held = process.getActiveResourcesInfo().join(' ');
    writeSync(
      1,
      `✖ ${names.join(' > ')}\n  begun last in a process that has not ended after ${fileLimitS} s; it holds: ${held}\n`,
    );
    process.exit(1);
  };
  setTimeout(end, fileLimitS * 1000).unref();
}

/** Seconds of processor of this process, and of all that it has waited for. Linux counts them in hundredths (proc_pid_stat(5)). */
function processorSeconds() {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').pop().split(' ');
  return fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0) / 100;
}

export default async function* report(events) {
  const names = [];
  endLate(names);
  for await (const { type, data } of events) {
    if (type === 'test:start') names.splice(data.nesting, Infinity, data.name);
    else if (type === 'test:diagnostic') yield `ℹ ${data.message}\n`;
    else if (type === 'test:pass' && (data.skip !== undefined || data.todo !== undefined))
      yield `﹣ ${data.name} # ${data.skip ?? data.todo}\n`;
    else if (type === 'test:fail') {
      const { error } = data.details;
      // The failures are those of its subtests.
      if (error.failureType === 'subtestsFailed') continue;
      const name = [...names.slice(0, data.nesting), data.name].join(' > ');
      const { cause = error } = error;
      const text = cause instanceof Error ? inspect(cause) : String(cause);
      yield `✖ ${name}\n${indented(`${data.file}:${data.line}\n${withoutInternals(text)}`)}\n`;
    }
  }
  yield `ℹ processor_s ${processorSeconds().toFixed(1)}\n`;
}
