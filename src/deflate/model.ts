/** How an encoder looks for matches: what its authors chose, as numbers. */
export type Model = ChainModel | SpeedModel;

/** A table of the last string with each hash, and nothing more. */
export interface SpeedModel {
  /** For people. */
  readonly name: string;
  readonly hash: 'table';
  /** Of the hash. */
  readonly bits: number;
  /** In how many bytes at once the data are taken. */
  readonly block: number;
  /** Bytes at the end of a block where no match begins. */
  readonly margin: number;
}

/** Chains of all strings with equal hashes. */
export interface ChainModel {
  /** For people. */
  readonly name: string;
  /**
   * How it finds earlier strings: `shift` (zlib, gzip: 3 bytes shifted and mixed), `multiply` (Go: 4
   * bytes by a constant), `crc` (Chromium's zlib: CRC-32C of 4 bytes).
   */
  readonly hash: 'shift' | 'multiply' | 'crc';
  /** Of the hash. */
  readonly bits: number;
  /** Farthest distance of the first candidate, and of those after it. */
  readonly distance: readonly [first: number, next: number];
  /** Whether the very first byte of a stream can be found again. */
  readonly first: boolean;
  /** A match of the shortest length is not worth it from farther away. */
  readonly tooFar: number;
  /** After a match of this length only a quarter of the candidates is tried for a better one. */
  readonly good: number;
  /** After a match of this length no better one is looked for at the next byte. 0: never is. */
  readonly lazy: number;
  /** A match of this length is taken at once. */
  readonly nice: number;
  /** Candidates that are tried. */
  readonly chain: number;
  /** Matches longer than this are not entered byte by byte. */
  readonly insert: number;
}

const ALWAYS = 65_535;

/** good, lazy, nice, chain: the levels of zlib, from which gzip's and Go's are not different. */
const LEVELS: readonly (readonly [number, number, number, number])[] = [
  [4, 4, 8, 4],
  [4, 5, 16, 8],
  [4, 6, 32, 32],
  [4, 4, 16, 16],
  [8, 16, 32, 32],
  [8, 16, 128, 128],
  [8, 32, 128, 256],
  [32, 128, 258, 1024],
  [32, 258, 258, 4096],
];

/** The first three levels take what they find first. */
const level = (at: number) => {
  const [good, lazy, nice, chain] = LEVELS[at - 1]!;
  return at <= 3
    ? { good, lazy: 0, nice, chain, insert: lazy, tooFar: ALWAYS }
    : { good, lazy, nice, chain, insert: ALWAYS, tooFar: 4096 };
};

/** zlib's window less what it wants to see ahead. */
const ZLIB = { distance: [32_506, 32_505], first: false } as const;

const zlib = (at: number, memory: number): ChainModel => ({
  name: `zlib -${at}${memory === 8 ? '' : ` memory ${memory}`}`,
  hash: 'shift',
  bits: memory + 7,
  ...ZLIB,
  ...level(at),
});

const chromium = (at: number, memory: number): ChainModel => ({
  ...zlib(at, memory),
  name: `Chromium's zlib -${at}${memory === 8 ? '' : ` memory ${memory}`}`,
  hash: 'crc',
});

/** Its levels 2 and 3 enter what is not longer than 5 and 6. */
const go = (at: number): ChainModel => ({
  name: `Go -${at}`,
  hash: 'multiply',
  bits: 17,
  distance: [WINDOW_OF_GO, WINDOW_OF_GO],
  first: true,
  ...level(at),
  tooFar: 4096,
  ...(at === 2 && { nice: 16, insert: 5 }),
  ...(at === 3 && { nice: 32, insert: 6 }),
});
const WINDOW_OF_GO = 32_768;

const GO_SPEED: SpeedModel = { name: 'Go -1', hash: 'table', bits: 14, block: 65_535, margin: 15 };

/** What is tried. The order decides between equals. */
export const MODELS: readonly Model[] = [
  ...[6, 9, 1, 5, 4, 7, 8, 3, 2].map((at) => zlib(at, 8)),
  ...[6, 9, 5, 4, 7, 8, 3, 2].map(go),
  GO_SPEED,
  ...[6, 9, 1, 5, 4, 7, 8, 3, 2].map((at) => chromium(at, 8)),
  ...[6, 9, 1].map((at) => zlib(at, 9)),
];
