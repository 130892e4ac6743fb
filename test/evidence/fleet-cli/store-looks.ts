// What `doctor` says of one store, a line for each look.
import { lookAtStores } from '../../../src/evidence/fleet-cli/store-look.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import type { StoreSinkSettings } from '../../../src/rules/config/sinks.js';

/** Of a receiver. */
export const base = { kind: 'store', prefix: 'dovegate', hostWord: 'gate1', objectsPerDay: 288 } as const;

export async function looksAt(sink: StoreSinkSettings, safeSeq?: number): Promise<string[]> {
  const told = { shipping: [{ name: sink.name, state: 'connected', lag_records: 0, safe_seq: safeSeq }] };
  const looks = await lookAtStores({ audit: { ship: [sink] } }, { clock: systemClock, told });
  return looks.map(({ status, name, text }) => `${status} ${name}: ${text}`);
}
