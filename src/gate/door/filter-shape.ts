// The schema of a search filter that arrives over a socket.

import * as z from 'zod';
import { distanceMs, text } from '../../host/values/shape.js';
import { rowKinds } from '../outcome/class.js';
import { filterTexts, filterTimes } from './filter.js';

export const textCharsMax = 4096;

const filterText = text(textCharsMax).optional();

export const trailFilter = z.strictObject(
  {
    ...keyed(filterTexts, filterText),
    kind: z.enum([...rowKinds, 'all']).optional(),
    ...keyed(filterTimes, distanceMs.optional()),
  },
  {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? 'has a key that no filter has' : 'must be an object',
  },
);

function keyed<const Key extends string, Part>(keys: readonly Key[], part: Part): Record<Key, Part> {
  const shape: Partial<Record<Key, Part>> = {};
  for (const key of keys) shape[key] = part;
  return Object(shape);
}
