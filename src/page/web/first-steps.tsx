// What to do first with a gate that nobody has used: three commands for a terminal.

import { Copy } from './fields.js';
import { Panel } from './kit.js';
import { useLive } from './live.js';
import { visible } from './visible.js';
import { formatCommand } from './words.js';

/** Enough for a start, sign-ins, looks at the page, and a few commands that were tried. */
const recordsOfNew = 100;

/** Shown on a new gate until something happens. */
export function FirstSteps() {
  const socket = useLive(({ now }) => now?.head.socket);
  const isNew = useLive(
    ({ now }) =>
      now !== undefined &&
      now.tiles.journal.seq <= recordsOfNew &&
      now.runningCount === 0 &&
      now.troubles.length === 0 &&
      now.tiles.history.every((rate) => rate === 0),
  );
  if (!isNew || socket === undefined) return null;
  const at = formatCommand(['--socket', socket]);
  const steps = [
    ['What you may do at this socket:', `dovegate can ${at}`],
    [
      'A first command, with a mail user in the place of USER:',
      `dovegate send ${at} --user USER mailbox list`,
    ],
    ['What was recorded of it; here it is on Trail:', 'sudo dovegate audit search --since 1h'],
  ] as const;
  return (
    <Panel title="No command has come yet">
      <ol class="first-steps">
        {steps.map(([what, command]) => (
          <li key={command}>
            {what}
            <p>
              <code>{visible(command)}</code> <Copy text={command} label={`Copy ${visible(command)}`} />
            </p>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
