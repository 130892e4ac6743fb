// `dovegate audit verify --socket`: the daemon checks its whole journal and reports the findings. This needs no rights on files,
// but trusts the daemon for the result and for the key.

import { formatJson, printable } from '../../domain/audit/encode.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { askPage } from './ask-page.js';
import type { Places } from './audit-places.js';
import type { VerifyFlags } from './audit-verify.js';

/** A long check reports its progress at this interval. */
const tellMs = 5_000;

/** Exit code 0; 1: the journal has faults. Throws a CommandFault. */
export async function auditVerifyAsked(
  screen: Screen,
  { socket = '' }: Places,
  { key, from, checkpoint, received, acceptKey, unsigned, json = false }: VerifyFlags,
  clock: { readonly now: () => number },
): Promise<number> {
  const isOfFiles = [from, checkpoint, received, acceptKey, unsigned].some((flag) => flag !== undefined);
  if (isOfFiles || key.length > 0)
    throw new CommandFault(
      exitCodes.usage,
      '--socket checks the whole journal with the key of the daemon; the other options are for files',
    );
  let toldMs = clock.now();
  const found = await askPage(socket).check(({ bytes, ofBytes }) => {
    if (clock.now() - toldMs < tellMs || ofBytes === 0) return;
    toldMs = clock.now();
    screen.complain(`dovegate: ${Math.floor((Math.min(bytes, ofBytes) / ofBytes) * 100)} % is checked`);
  });
  await screen.print(json ? formatJson({ target: socket, ...found }) : describe());
  await screen.flush();
  return found.isWhole ? exitCodes.ok : exitCodes.failed;

  function describe(): string {
    const { records, fromSeq, toSeq, fromTime, toTime, findings, signedSeq, signedBy, isWhole, faultCount } =
      found;
    const range = fromSeq === undefined ? '' : `, seq ${fromSeq} to ${toSeq ?? fromSeq}`;
    const lines = [`${printable(socket)}: ${plural(records, 'record')}${range}`];
    if (fromTime !== undefined && toTime !== undefined) lines.push(`  from ${fromTime} to ${toTime}`);
    const paint = (kind: string, text: string): string =>
      kind === 'fault' ? screen.paint('bad', `fault: ${text}`) : `note: ${text}`;
    for (const { kind, text } of findings) lines.push(`  ${paint(kind, printable(text))}`);
    if (signedSeq !== undefined && signedBy !== undefined)
      lines.push(`  signed up to seq ${signedSeq} by ${signedBy}, the key of the daemon, as it says itself`);
    lines.push(
      isWhole
        ? screen.paint('good', 'passed')
        : screen.paint('bad', `failed: ${plural(faultCount, 'fault')}`),
    );
    return lines.join('\n');
  }
}
