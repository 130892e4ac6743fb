// Whether a value has a shape of zod. Without zod itself: whoever reads a small file does not load it.

import type * as z from 'zod';
import { parseRequest } from './values.js';

/** Returns a function that reads a body: its value, without unknown keys; or a string: why it is invalid. */
export function readerOf<Shape extends z.ZodType>(shape: Shape): (body: string) => z.output<Shape> | string {
  return (body) => {
    const value = parseRequest(body);
    return typeof value === 'string' ? value : fit(shape, value);
  };
}

export function fit<Shape extends z.ZodType>(shape: Shape, value: unknown): z.output<Shape> | string {
  const found = shape.safeParse(value);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  if (issue === undefined) return 'it has another form';
  return [issue.path.join('.'), issue.message].filter((each) => each !== '').join(': ');
}
