// What a format of rows is: it is told of cells and writes text. The formats and who drives them are beside this file.

/** Takes what was printed; nothing is kept of it. */
export type Sink = (piece: Buffer | string) => void;

/** One format. Calls come as open, write..., close for each cell, in order, and end once. */
export interface CellFormat {
  /** `isLong`: the cell did not come in one piece. */
  open(column: number, isLong: boolean): void;
  write(bytes: Buffer): void;
  close(column: number): void;
  /** After the last cell, also where there was none. */
  end(): void;
}
