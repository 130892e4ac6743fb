// `dovegate audit check-proof`: checks a proof or an extract of `audit export --with-proof`, with public keys and nothing else.

import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJson, formatWords, printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { eachLine } from '../../journal/files/trail.js';
import { readToDamage } from '../reading/search-trail.js';
import { createProofChecker, keyFingerprint, type ProofVerdict, proofKindOf } from '../report/proof.js';
import { createExtractChecker, type ExtractVerdict } from '../views/extract.js';
import { countsInFileText } from '../views/only-counted.js';
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
  const proof = createProofChecker(trusted);
  const extract = createExtractChecker(trusted);
  let kind: ReturnType<typeof proofKindOf>;
  let isFirst = true;
  for await (const piece of readToDamage(fileAt(path, true))) {
    if (piece === undefined) throw new CommandFault(exitCodes.failed, `${path} is damaged`);
    if (isFirst) kind = proofKindOf(piece.bytes.toString('latin1', 0, 64));
    isFirst = false;
    if (kind === 'journal') {
      const how = `dovegate audit verify ${formatWords([path])}`;
      throw new CommandFault(exitCodes.usage, `${path} is a file of a journal: ${how}`);
    }
    eachLine(piece, (kind === 'extract' ? extract : proof).take);
  }
  const verdict = kind === 'extract' ? extract.finish() : proof.finish();
  const isProved = verdict.fault === undefined && trusted.length > 0;
  const [title = '', ...about] =
    'parts' in verdict ? describeExtract(target, verdict) : describe(target, verdict);
  await screen.print(json ? formatVerdict(target, verdict, isProved) : judged().join('\n'));
  await screen.flush();
  return isProved ? exitCodes.ok : exitCodes.failed;

  function judged(): string[] {
    const { fault, keys } = verdict;
    if (fault !== undefined)
      return [
        printable(`${target}:${fault.line}: ${fault.text}`),
        screen.paint('bad', 'NOT proved: the file must not be used'),
      ];
    const unproved =
      'NOT proved: the key is the one that the file itself names; give --key FILE with one that came another way';
    return [
      title,
      ...keys.map((each) => `  signed by ${printable(each)}, SHA-256 of its DER ${keyFingerprint(each)}`),
      ...('isMoreKeys' in verdict && verdict.isMoreKeys ? ['  and by other keys'] : []),
      ...about,
      isProved ? screen.paint('good', 'proved') : screen.paint('bad', unproved),
    ];
  }
}

function describe(path: string, verdict: ProofVerdict): string[] {
  const { fault, records, lines, runs, fromSeq, toSeq, journal, counted } = verdict;
  if (fault !== undefined) return [];
  const range = `seq ${fromSeq ?? 0} to ${toSeq ?? 0}`;
  const named = journal === undefined ? '' : `, journal ${printable(journal)}`;
  return [
    `${printable(path)}: ${plural(records, 'record')} in ${plural(lines, 'line')}, ${range}${named}`,
    runs === 1
      ? `  nothing is missing from ${range}`
      : `  in ${runs} runs: lines between the runs are not in the file`,
    ...(counted === undefined ? [] : [`  ${countsInFileText(counted, 'record')}`]),
  ];
}

function describeExtract(path: string, verdict: ExtractVerdict): string[] {
  const { fault, asked, parts, rows, fromSeq, toSeq, gaps, isDamaged, counted } = verdict;
  if (fault !== undefined || asked === undefined) return [];
  const { by, view, shown, filter } = asked;
  if (shown === 'owner')
    return [
      `${printable(path)}: what the owner of a mailbox may see, in ${plural(rows, 'row')}, seq ${fromSeq ?? 0} to ${toSeq ?? 0}`,
      printable(`  dovegate made it for ${by}, for: ${filter.join(', ')}`),
      ...(isDamaged ? ['  some lines of the journal could not be read'] : []),
      '  dovegate vouches for it by its signature; it is no proof by the chain, which would show names of staff',
    ];
  const whom = typeof view === 'string' ? view : `the records of ${view.join(', ')} only`;
  const question = filter.length === 0 ? 'all commands' : filter.join(', ');
  return [
    `${printable(path)}: an extract of ${plural(rows, 'row')} in ${plural(parts, 'part')}, seq ${fromSeq ?? 0} to ${toSeq ?? 0}`,
    printable(`  dovegate showed them to ${by}, who sees ${whom}, for: ${question}`),
    ...(counted === undefined ? [] : [`  ${countsInFileText(counted, 'row')}`]),
    ...(gaps === 0 ? [] : [`  NOT looked through: records in ${plural(gaps, 'place')} between its parts`]),
    ...(isDamaged ? ['  some lines of the journal could not be read'] : []),
    '  that no other record fits is said by dovegate and its signature; the chain does not show it',
  ];
}

function formatVerdict(path: string, verdict: ProofVerdict | ExtractVerdict, isProved: boolean): string {
  const { fault, keys, fromSeq: first_seq, toSeq: last_seq, counted } = verdict;
  const only_counted = counted && {
    records: counted.records,
    refused: counted.refused,
    unsent: counted.unsent,
    first_seq: counted.fromSeq,
    last_seq: counted.toSeq,
  };
  const range = { first_seq, last_seq, only_counted };
  const head = { target: path, proved: isProved };
  if ('parts' in verdict) {
    const { parts, rows, asked, gaps, isDamaged: damaged } = verdict;
    return formatJson({ ...head, parts, rows, ...range, ...asked, gaps, damaged, keys, fault });
  }
  const { records, lines, runs, journal } = verdict;
  return formatJson({ ...head, records, lines, runs, ...range, journal, keys, fault });
}
