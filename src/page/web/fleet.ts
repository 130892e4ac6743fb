// What the screen "proof" says about many gates, from the findings of the process that reads all their copies.

import type { FleetGate, FleetSeen, FleetShown } from '../../evidence/views/fleet.js';
import { countWords, plural } from '../../host/words/words.js';
import type { ProofState } from './proof.js';
import type { Toned } from './running.js';

export function judgeFleet({ trouble, seen }: FleetShown): Omit<ProofState, 'steps'> {
  const why = trouble === undefined ? [] : [`${capital(trouble)}.`];
  if (seen === undefined)
    return { tone: 'bad', title: 'Nothing is known of the other gates', sentences: why };
  const verified = `${plural(seen.records, 'record', 'records')} in ${seen.store} verified, the last time at {${seen.at}}.`;
  const { checkpoint } = seen;
  const signed =
    checkpoint === undefined
      ? []
      : [`The heads of all gates were signed at {${checkpoint.at}} (line ${countWords(checkpoint.seq)}).`];
  if (trouble !== undefined) {
    const before = `Until then: ${found(seen)}.`;
    return { tone: 'bad', title: 'Nobody watches the gates now', sentences: [...why, before, ...signed] };
  }
  const tone = seen.findingCount > 0 ? 'bad' : seen.gates.length > 0 ? 'good' : 'quiet';
  return { tone, title: capital(found(seen)), sentences: [verified, ...signed] };
}

function found({ gates, findingCount, findings }: FleetSeen): string {
  if (findingCount > 0) {
    const hosts = new Set(findings.map(({ host }) => host));
    for (const gate of gates) if (gate.findings > 0) hosts.add(gate.host);
    return `${plural(findingCount, 'finding', 'findings')} at ${plural(hosts.size, 'gate', 'gates')}`;
  }
  if (gates.length === 0) return 'no gate has sent anything yet';
  return gates.length === 1
    ? 'the one gate is complete'
    : `all ${countWords(gates.length)} gates are complete`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

export function gateState({ findings, lastSeen }: FleetGate): Toned {
  if (findings > 0) return { tone: 'bad', word: plural(findings, 'finding', 'findings') };
  return lastSeen === undefined
    ? { tone: 'quiet', word: 'not seen yet' }
    : { tone: 'good', word: 'complete' };
}

/** Records that no trusted signature vouches for yet. */
export function lagOf({ seq, signedSeq }: FleetGate): number | undefined {
  return seq === undefined ? undefined : Math.max(0, seq - (signedSeq ?? 0));
}
