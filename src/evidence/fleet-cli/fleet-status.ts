// `dovegate audit fleet status`: the gates as the verifier saw them last, from the file that it left.

import { systemClock } from '../../host/machine/clock.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseTime } from '../../host/words/instants.js';
import { formatJsonLines, printable } from '../../host/words/text.js';
import { agoWords } from '../../host/words/words.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import { describeLocks, describeVerdict, describeVerifiers, printGates } from './gate-table.js';
import { readStatus } from './state-folder.js';

const oldMs = 60_000;

/** Exit code 0; 1: something is wrong. Throws a CommandFault if there is no status. */
export async function fleetStatus(screen: Screen, config: string, isJson: boolean): Promise<number> {
  const { state } = readFleetSettings(config, screen, 'state');
  const status = readStatus(state);
  if (status === undefined)
    throw new CommandFault(
      exitCodes.unavailable,
      `there is no status in ${state}; "fleet verify" and "fleet watch" write it`,
    );
  const ageMs = Math.max(0, systemClock.wallMs() - (parseTime(status.at) ?? 0));
  if (isJson) {
    await screen.print(formatJsonLines(status));
  } else {
    const { away, findings } = status;
    const verdict = describeVerdict(status);
    if (away !== undefined) {
      const text = printable(`not known: the store cannot be read since ${away.since}: ${away.text}`);
      await screen.print(screen.paint('bad', text));
    }
    await screen.print(
      away === undefined
        ? screen.paint(findings.length === 0 ? 'good' : 'bad', verdict)
        : screen.paint('doubtful', `until then: ${verdict}`),
    );
    const age = `as of ${status.at}, ${agoWords(ageMs)} ago`;
    const isOld = ageMs > oldMs;
    await screen.print(
      screen.paint(isOld ? 'doubtful' : 'faint', isOld ? `${age}; nothing watches the store now` : age),
    );
    for (const line of [...describeVerifiers(status), ...describeLocks(status)]) await screen.print(line);
    await screen.print('');
    await printGates(screen, status);
  }
  await screen.flush();
  return status.findings.length === 0 && status.away === undefined ? exitCodes.ok : exitCodes.failed;
}
