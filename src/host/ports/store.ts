// A store of immutable objects: a bucket or a folder. Names are paths below the prefix that the store was opened with. What a store lists
// is not trusted: other programs can put names and bytes there.

export type StoreFaultCode =
  | 'away' // not reachable, silent, or failing: a later try may succeed
  | 'refused' // the store denies the request, or does not accept what was sent
  | 'gone' // no object of this name or version; of a bucket: it does not exist
  | 'too-large' // longer than the caller's bound
  | 'bad-answer'; // an answer that no store gives: not HTTP, not XML, names that do not ascend, pages without an end

/** The message is a sentence for operators, without credentials and without bytes of an object. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  readonly code: StoreFaultCode;
  constructor(code: StoreFaultCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface StoredObject {
  readonly bytes: Buffer;
  /** When the store took it, by the store's own clock in Unix milliseconds. In a folder: the time of the file, which its owner can set. */
  readonly storedMs: number;
}

export interface ObjectVersion {
  readonly name: string;
  /** For `read`. Empty in a folder, which has one version of each object. */
  readonly version: string;
  /** A delete marker: it hides the older versions, and has no bytes. */
  readonly isMarker: boolean;
  /** As in {@link StoredObject}; undefined: not in the list. */
  readonly storedMs?: number | undefined;
}

export interface StoreFacts {
  readonly kind: 'folder' | 'bucket';
  /** Whether an overwritten object stays readable. Undefined: the store does not say it to this credential. */
  readonly versions: 'on' | 'off' | 'suspended' | undefined;
  /** The default retention of new objects; `mode` none: objects can be locked, and are not by default. Undefined: as `versions`. */
  readonly lock:
    | { readonly mode: 'off' }
    | { readonly mode: 'none' | 'COMPLIANCE' | 'GOVERNANCE'; readonly days: number | undefined }
    | undefined;
}

export interface ListOptions {
  /** Names up to this one are left out. */
  readonly after?: string;
  /** Only one level: a name that ends in `/` stands for all names below it. */
  readonly isLevel?: boolean;
  readonly signal?: AbortSignal;
}

/** Each method rejects with a StoreFault, or with the reason of the signal. */
export interface ObjectStore {
  /** Where it is, for sentences. */
  readonly place: string;
  /** `prefix` ends in `/`, or is empty. Pages of names that ascend by their bytes; the caller bounds how many it takes. */
  list(prefix: string, options?: ListOptions): AsyncIterable<readonly string[]>;
  /** All versions, hidden ones too; names ascend, and of one name the newest version is first. */
  versions(prefix: string, options?: ListOptions): AsyncIterable<readonly ObjectVersion[]>;
  /** The newest version, or a given one. */
  read(
    name: string,
    options: { readonly bytesMax: number; readonly version?: string; readonly signal?: AbortSignal },
  ): Promise<StoredObject>;
  /**
   * Resolves when the object is safely stored. `ifAbsent`: the store is asked not to replace an object of this name; `there`: it kept one.
   * `stored` does not prove that there was none: stores with versions ignore the condition.
   */
  put(
    name: string,
    bytes: Uint8Array,
    options: { readonly ifAbsent: boolean; readonly signal?: AbortSignal },
  ): Promise<'stored' | 'there'>;
  describe(signal?: AbortSignal): Promise<StoreFacts>;
  close(): void;
}
