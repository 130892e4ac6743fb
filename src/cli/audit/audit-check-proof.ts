// `dovegate audit check-proof`: checks a file of `audit export --with-proof` with public keys. No journal and no configuration is needed.

import { eachLine, readToDamage } from '../../adapters/journal/trail.js';
import { formatJson, formatWords, printable } from '../../domain/audit/encode.js';
import {
  createProofChecker,
  keyFingerprint,
  type ProofVerdict,
  proofKindOf,
} from '../../domain/report/proof.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { fileAt, readKey } from './audit-verify.js';

export interface CheckProofFlags {
  readonly key: readonly string[];
  readonly json?: boolean;
}

/** Exit code 0; 1: it is not proved. Throws as the readers do. */
export async function auditCheckProof(
  screen: Screen,
  path: string,
  { key, json = false }: CheckProofFlags,
): Promise<number> {
  const trusted = key.map(readKey);
  const target = path === '-' ? 'standard input' : path;
  const checker = createProofChecker(trusted);
  let isFirst = true;
  for await (const piece of readToDamage(fileAt(path, true))) {
    if (piece === undefined) throw new CommandFault(exitCodes.failed, `${path} is damaged`);
    if (isFirst) demandProof(path, piece.bytes.toString('latin1', 0, 64));
    isFirst = false;
    eachLine(piece, checker.take);
  }
  const verdict = checker.finish();
  const isProved = verdict.fault === undefined && trusted.length > 0;
  await screen.print(
    json ? formatVerdict(target, verdict, isProved) : describe(screen, target, verdict, isProved).join('\n'),
  );
  await screen.flush();
  return isProved ? exitCodes.ok : exitCodes.failed;
}

/** Throws a CommandFault if the file begins like another format. */
function demandProof(path: string, beginning: string): void {
  const kind = proofKindOf(beginning);
  if (kind === 'journal')
    throw new CommandFault(
      exitCodes.usage,
      `${path} is a file of a journal: dovegate audit verify ${formatWords([path])}`,
    );
  if (kind === 'extract')
    throw new CommandFault(
      exitCodes.usage,
      `${path} is an extract, which one signature covers: docs/auditor-access.md says how to check it`,
    );
}

function describe(screen: Screen, path: string, verdict: ProofVerdict, isProved: boolean): string[] {
  const { fault, records, lines, runs, fromSeq, toSeq, journal, keys, isMoreKeys } = verdict;
  if (fault !== undefined)
    return [
      printable(`${path}:${fault.line}: ${fault.text}`),
      screen.paint('bad', 'NOT proved: the file must not be used'),
    ];
  const range = `seq ${fromSeq ?? 0} to ${toSeq ?? 0}`;
  const named = journal === undefined ? '' : `, journal ${printable(journal)}`;
  const told = [
    `${printable(path)}: ${plural(records, 'record')} in ${plural(lines, 'line')}, ${range}${named}`,
    ...keys.map((key) => `  signed by ${printable(key)}, SHA-256 of its DER ${keyFingerprint(key)}`),
    ...(isMoreKeys ? ['  and by other keys'] : []),
    runs === 1
      ? `  nothing is missing from seq ${fromSeq ?? 0} to ${toSeq ?? 0}`
      : `  in ${runs} runs: lines between the runs are not in the file`,
  ];
  const unproved =
    'NOT proved: the key is the one that the file itself names; give --key FILE with one that came another way';
  return [...told, isProved ? screen.paint('good', 'proved') : screen.paint('bad', unproved)];
}

function formatVerdict(path: string, verdict: ProofVerdict, isProved: boolean): string {
  const { fault, records, lines, runs, fromSeq, toSeq, journal, keys } = verdict;
  const numbers = { records, lines, runs, first_seq: fromSeq, last_seq: toSeq };
  return formatJson({ target: path, proved: isProved, ...numbers, journal, keys, fault });
}
