/**
 * `length` bytes that compress as text and programs do: words from a vocabulary, repeated lines and
 * binary records. The same every time.
 */
export function prose(length: number, seed = 1): Buffer {
  const random = generator(seed);
  const words = Array.from({ length: 400 }, () =>
    Array.from({ length: 2 + random(9) }, () => String.fromCharCode(97 + random(26))).join(''),
  );
  const lines: string[] = [];
  const pieces: Buffer[] = [];
  for (let size = 0; size < length;) {
    const kind = random(10);
    const piece =
      kind === 0
        ? Buffer.from(Array.from({ length: 8 + random(60) }, () => random(256)))
        : Buffer.from(kind < 3 && lines.length > 0 ? lines[random(lines.length)]! : line());
    pieces.push(piece);
    size += piece.length;
  }
  return Buffer.concat(pieces).subarray(0, length);

  function line(): string {
    const text = Array.from({ length: 3 + random(12) }, () => words[random(1 + random(400))]);
    lines.push(`${text.join(' ')}\n`);
    return lines.at(-1)!;
  }
}

/** Whole numbers below a limit, by a linear congruence. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
