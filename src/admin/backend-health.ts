// Which backends can be reached, as far as dialling them has shown: an observer of the engine. It does not dial.
// The rule: a backend is up while upstreams of it live, or its last dial succeeded, or nobody has dialled it yet (a
// daemon that just started must not turn its first clients away).

import type { EngineEvent } from '../engine/events.js';

/** What is known of the reach of backends. */
export interface BackendHealth {
  /** An observer for the engine. */
  observe(event: EngineEvent): void;
  /** Of one backend; `openUpstreams`: idle and leased ones. */
  stateOf(backend: string, openUpstreams: number): BackendReach;
}

/** `text` says why it is down. */
export type BackendReach =
  | { readonly isUp: true; readonly text: undefined }
  | { readonly isUp: false; readonly text: string };

/** Knows of no dial. */
export function createBackendHealth(): BackendHealth {
  /** Backends whose last dial failed, and how. */
  const failures = new Map<string, string>();
  return {
    observe(event) {
      if (event.kind === 'upstream-opened') failures.delete(event.backend);
      else if (event.kind === 'dial-failed') failures.set(event.backend, `${event.code}, ${event.text}`);
    },
    stateOf(backend, openUpstreams) {
      const text = failures.get(backend);
      if (text === undefined || openUpstreams > 0) return { isUp: true, text: undefined };
      return { isUp: false, text };
    },
  };
}
