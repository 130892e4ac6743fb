// What operators do to the running daemon: end a command, take a backend out of service and back, reload. Each leaves a record
// before it is done.
// The rules: no record, no action; what is taken out of service stays so over a restart.

import type { Act, ActionResult, Operator, OperatorAction } from '../adapters/admin/access.js';
import { readIfThere, writeAtomically } from '../adapters/host/files.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import type { Log } from '../adapters/telemetry/log.js';
import { type AuditRecord, formatTime } from '../domain/audit/record.js';
import type { Service } from '../gateway/session/service.js';
import type { Clock } from '../ports/machine.js';
import type { Pools } from './pools.js';
import type { Reloader } from './reload.js';

/** Who took a backend out of service, and when (RFC 3339). */
export interface Drained {
  readonly by: string;
  readonly since: string;
}

/** The backends that operators took out of service. */
export interface DrainedBackends {
  find(backend: string): Drained | undefined;
  /** On disk when it returns; throws what the system says. Undefined: back in service. */
  put(backend: string, drained: Drained | undefined): void;
}

/** As the state directory has them. A file that cannot be read as such throws: nobody would know what was taken out. */
export function openDrainedBackends(stateDirectory: string): DrainedBackends {
  const path = `${stateDirectory}/drained.json`;
  const found: unknown = JSON.parse(readIfThere(path) ?? '{}');
  const drained = new Map<string, Drained>();
  if (typeof found !== 'object' || found === null) throw new Error(`${path}: is no list of drained backends`);
  for (const [backend, each] of Object.entries(found)) {
    const { by, since } = Object(each);
    drained.set(backend, { by: String(by), since: String(since) });
  }
  return {
    find: (backend) => drained.get(backend),
    put(backend, now) {
      const next = new Map(drained);
      if (now === undefined) next.delete(backend);
      else next.set(backend, now);
      writeAtomically(path, `${JSON.stringify(Object.fromEntries(next), undefined, 2)}\n`);
      if (now === undefined) drained.delete(backend);
      else drained.set(backend, now);
    },
  };
}

/** What actions work on. */
export interface OperatorParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: OpenJournal;
  readonly service: Service;
  readonly pools: Pools;
  readonly drained: DrainedBackends;
  /** Whether the file says so too. */
  readonly isDrainedByFile: (backend: string) => boolean;
  readonly reloader: Reloader;
}

/** Carries actions out. */
export function createAct(parts: OperatorParts): Act {
  return async (action, operator) => {
    const missing = whatIsMissing(parts, action);
    if (missing !== undefined) return { kind: 'unknown', text: missing };
    await parts.journal.append(recordOf(action, operator, parts.clock.wallMs()), { durable: true });
    const result = await carryOut(parts, action, operator);
    const text = `${operator.by}: ${nameOf(action)}: ${result.text}`;
    parts.log.report({ event: 'operator', level: 'info', text });
    return result;
  };
}

function whatIsMissing({ pools, service }: OperatorParts, action: OperatorAction): string | undefined {
  switch (action.kind) {
    case 'kill':
      return service.running().some(({ id }) => id === action.id)
        ? undefined
        : `no command ${action.id} runs`;
    case 'drain':
    case 'enable':
      return pools.byName.has(action.backend) ? undefined : `there is no backend ${action.backend}`;
    case 'reload':
      return undefined;
    default:
      return action satisfies never;
  }
}

async function carryOut(
  parts: OperatorParts,
  action: OperatorAction,
  { by }: Operator,
): Promise<ActionResult> {
  const { service, pools, drained, isDrainedByFile, clock, reloader } = parts;
  switch (action.kind) {
    case 'kill':
      if (service.kill(action.id)) return { kind: 'done', text: `${action.id} is given up` };
      return { kind: 'unknown', text: `${action.id} has ended meanwhile` };
    case 'drain': {
      drained.put(action.backend, { by, since: formatTime(clock.wallMs()) });
      pools.applyDrains();
      return { kind: 'done', text: `${action.backend} is out of service; what runs there ends by itself` };
    }
    case 'enable': {
      drained.put(action.backend, undefined);
      pools.applyDrains();
      if (!isDrainedByFile(action.backend)) return { kind: 'done', text: `${action.backend} is in service` };
      const text = `${action.backend} stays out of service: the configuration says drained: true`;
      return { kind: 'done', text };
    }
    case 'reload': {
      const { isSuccess, hash, problems, unfinished = [], restart } = await reloader.reload();
      const told = [
        ...problems,
        ...unfinished,
        ...restart.map((key) => `${key}: changed, and read only at a start`),
      ];
      const first = isSuccess ? `configuration ${hash} is served` : 'the configuration is not replaced';
      return { kind: isSuccess ? 'done' : 'failed', text: [first, ...told].join('\n') };
    }
    default:
      return action satisfies never;
  }
}

function recordOf(action: OperatorAction, operator: Operator, time: number): AuditRecord {
  const { by, ...peer } = operator;
  return {
    time,
    event: 'operator',
    peer,
    action: action.kind,
    by,
    ...(action.kind === 'kill' ? { id: action.id } : {}),
    ...('backend' in action ? { backend: action.backend } : {}),
  };
}

function nameOf(action: OperatorAction): string {
  if (action.kind === 'kill') return `kill ${action.id}`;
  return action.kind === 'reload' ? 'reload' : `${action.kind} ${action.backend}`;
}
