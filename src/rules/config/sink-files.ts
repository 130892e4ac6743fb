// The files and libraries that a receiver of records needs, for checks of the configuration and for `dovegate ship`.

import type { SinkSettings } from './sinks.js';

type SinkKind = SinkSettings['kind'];

/** The optional package that a kind needs, and its name for people. */
const libraries: Readonly<
  Record<SinkKind, { readonly name: string; readonly package: 'aws4fetch' } | undefined>
> = {
  syslog: undefined,
  store: { name: 'buckets', package: 'aws4fetch' },
  otlp: undefined,
  file: undefined,
};

export function sinkLibraryOf(sink: SinkSettings) {
  return sink.kind === 'store' && sink.place.kind === 'folder' ? undefined : libraries[sink.kind];
}

export function sinkFilesOf(
  sink: SinkSettings,
): readonly (readonly [key: string, file: string | undefined])[] {
  return [
    ['ca', sink.caFile],
    ['certificate', sink.client?.certificateFile],
    ['key', sink.client?.keyFile],
    ...ownFilesOf(sink),
  ];
}

function ownFilesOf(sink: SinkSettings): ReturnType<typeof sinkFilesOf> {
  switch (sink.kind) {
    case 'syslog':
    // The file of a `file` receiver is written, not read.
    case 'file':
      return [];
    case 'otlp':
      return [['headers_file', sink.headersFile]];
    case 'store':
      return [['credentials', sink.credentialsFile]];
    default:
      return sink satisfies never;
  }
}
