// The incidents of a journal, as the page gets them: from the JSON of its answer.

import assert from 'node:assert/strict';
import { readIncidents } from '../../../src/evidence/reading/read-incidents.js';
import type { FleetSeen } from '../../../src/evidence/views/fleet.js';
import type { Incidents } from '../../../src/page/answers/history.js';
import type { PageCaller } from '../../../src/page/http/page-request.js';
import { createIncidentsAnswers } from '../../../src/page/incidents-answers.js';
import { createFakeClock } from '../plain/fake-clock.js';
import { doorHead } from './now.js';

export const viewer: PageCaller = { name: 'vera', roles: ['view'], users: undefined, from: [] };

/** `timeMs`: how long each part of a reading may take. */
export function openIncidents(directory: string, wallMs: number, timeMs?: number, seen?: FleetSeen) {
  const clock = { ...createFakeClock(), wallMs: () => wallMs };
  let asked = 0;
  const answers = createIncidentsAnswers({
    clock,
    daemon: {
      told: { head: { ...doorHead, directory }, settings: Object(undefined), numbers: undefined },
      away: undefined,
    },
    looks: {
      incidents: (task) => {
        asked += 1;
        return readIncidents({ ...task, timeMs: timeMs ?? task.timeMs }, clock);
      },
    },
    fleet: () => Promise.resolve(seen && { seen }),
  });
  const ask = async (who = viewer): Promise<Incidents> => {
    const call = {
      params: [],
      body: '',
      who,
      isStill: () => true,
      signal: new AbortController().signal,
    } as const;
    const reply = await answers.incidents({ endpoint: 'incidents', ...call });
    return 'body' in reply ? JSON.parse(reply.body) : assert.fail('in pieces');
  };
  return { ask, asked: () => asked, close: () => answers.close() };
}
