// `dovegate prove`: whether a statement about the policies of a configuration holds, by what the files say alone.

import { systemClock } from '../../host/machine/clock.js';
import { CommandFault, formatPlace, plain, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { StoredRecord } from '../../host/values/values.js';
import { formatJson, formatWords } from '../../host/words/text.js';
import { isStatement, readStatement, type Statement } from '../../rules/answers/statement.js';
import { openSettings } from '../../rules/cli/named-listener.js';
import type { WhyUnproven } from '../../rules/cli/test.js';
import { proofOf } from '../proof/more.js';
import { isProof, type Proof, type Witness } from '../proof/prove.js';
import { proofLines } from '../proof/words.js';

export interface ProveOptions {
  readonly config: string;
  /** The configuration before the change. */
  readonly against?: string | undefined;
  readonly json: boolean;
}

/** Exit code 0: it holds; 1: it is disproved, or undecided; 64: it is no statement; 78: configuration. */
export function prove(text: string, { config, against, json }: ProveOptions): number {
  const settings = openSettings(config);
  const before = against === undefined ? undefined : openSettings(against);
  const statement = readStatement(text, settings, ...(before === undefined ? [] : [before]));
  if (isStatement(statement, 'bad'))
    throw new CommandFault(exitCodes.usage, `the statement: ${plain(statement.message)}`);
  const proof = proofOf(statement, settings, before, systemClock);
  if (proof === undefined)
    throw new CommandFault(
      exitCodes.usage,
      'a statement about a change needs --against FILE, the configuration before it',
    );
  stdout(json ? formatJson(asJson(text, proof, config)) : sayProof(proof, config, statement));
  return isProof(proof, 'holds') ? exitCodes.ok : exitCodes.failed;
}

/** For a statement among policy tests. A malformed one is already reported as a problem of the configuration. */
export const whyUnproven: WhyUnproven = (text, settings, config) => {
  const statement = readStatement(text, settings);
  if (isStatement(statement, 'bad')) return undefined;
  const proof = proofOf(statement, settings, undefined, systemClock);
  if (proof === undefined || isProof(proof, 'holds')) return undefined;
  return sayProof(proof, config, statement);
};

/** Several lines, without the last LF. */
export function sayProof(proof: Proof, config: string, statement: Pick<Statement, 'isWithApproval'>): string {
  const confirm = isProof(proof, 'disproved')
    ? [`to confirm it: ${formatWords(explainWords(proof.witness, config))}`]
    : [];
  return [...proofLines(proof, statement, formatWords), ...confirm].map((line) => plain(line)).join('\n');
}

/** The command that confirms it. The reader has to replace MEMBER by a member of the group. */
export function explainWords(witness: Witness, config: string): string[] {
  const { listener, account, uid, isOfGroup, user, words, series, isGranted } = witness;
  return [
    'dovegate',
    'explain',
    '--config',
    config,
    '--listener',
    listener,
    ...(account === undefined ? [] : ['--account', account]),
    ...(uid === undefined ? (isOfGroup ? ['--uid', 'MEMBER'] : []) : ['--uid', uid]),
    ...(series === undefined ? [] : ['--series', series]),
    ...(isGranted ? ['--granted'] : []),
    ...(user === '' ? [] : ['--user', user]),
    '--',
    ...words,
  ];
}

function asJson(statement: string, proof: Proof, config: string): StoredRecord {
  const { kind: answer } = proof;
  switch (proof.kind) {
    case 'holds':
      return { statement, answer, notes: proof.notes };
    case 'undecided':
      return { statement, answer, reason: proof.reason };
    case 'disproved': {
      const { rule, words: command, isGranted: granted, isOfGroup: _, ...same } = proof.witness;
      const said = { ...same, rule: rule && formatPlace(rule), command, granted };
      return { statement, answer, ...said, explain: explainWords(proof.witness, config) };
    }
    default:
      return proof satisfies never;
  }
}
