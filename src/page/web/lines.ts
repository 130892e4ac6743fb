// What comes in pieces over HTTP: lines, and server-sent events.

export interface LineDecoder {
  push(text: string): string[];
  /** The text after the last line end. */
  rest(): string;
}

export function createLineDecoder(): LineDecoder {
  let rest = '';
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
    },
    rest: () => rest,
  };
}

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

export interface EventDecoder {
  /** An event ends with an empty line; what is not ended is no event. */
  push(text: string): StreamEvent[];
}

export function createEventDecoder(): EventDecoder {
  const lines = createLineDecoder();
  let name = 'message';
  let data: string[] = [];
  return {
    push(text) {
      const events: StreamEvent[] = [];
      for (const line of lines.push(text)) {
        if (line === '') {
          if (data.length > 0) events.push({ name, data: data.join('\n') });
          name = 'message';
          data = [];
          continue;
        }
        const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (field === 'event') name = value;
        if (field === 'data') data.push(value);
      }
      return events;
    },
  };
}
