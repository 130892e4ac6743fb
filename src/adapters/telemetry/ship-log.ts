// The lines of our own log about shipping: what happened, and what it means for who has to do something. It does not know where
// lines go.

import type { Logger } from 'pino';
import type { ShipEvent } from '../../gateway/outcome/events.js';

/** Writes the line of an event. */
export function logShipping(logger: Logger, event: ShipEvent): void {
  const { kind, sink } = event;
  switch (kind) {
    case 'ship-connected': {
      const text = `records go to ${sink}; ${event.lagRecords} were not sent yet`;
      return logger.info({ event: kind, sink, lag: event.lagRecords }, text);
    }
    case 'ship-away': {
      const keys = { event: kind, sink, type: event.code, lag: event.lagRecords };
      return logger.error(keys, `no records go to ${sink}: ${event.text}`);
    }
    case 'ship-missing': {
      const text = `${sink} will never get the records ${event.from} to ${event.to}: they were removed before, or are damaged`;
      return logger.error({ event: kind, sink, from: event.from, to: event.to }, text);
    }
    case 'ship-damaged':
      return logger.error({ event: kind, sink }, `not sent to ${sink}: ${event.text}`);
    case 'ship-restarted':
      return logger.error({ event: kind, sink }, `${sink} gets the whole journal again: ${event.text}`);
    case 'ship-position-failed':
      return logger.error({ event: kind, sink }, `how far ${sink} was served is not on disk: ${event.text}`);
    default:
      return event satisfies never;
  }
}
