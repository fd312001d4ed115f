import { resolve } from 'node:path';
import { withCopySource } from '../../../container/copy/source.ts';
import type { Engine } from '../../../engine/engine.ts';
import { placeInto } from '../../../engine/containers/copy.ts';
import { isCode, MicaError } from '../../../errors.ts';
import type { Bytes } from '../../../io/bytes.ts';
import type { Cli } from '../../cli.ts';
import { escape } from '../../render/escape.ts';

interface Options {
  readonly archive?: boolean;
  readonly followLink?: boolean;
}

/** A path in a container. */
interface Place {
  readonly id: string;
  /** Byte string. */
  readonly path: string;
}

/** @returns `false` when neither side is a container */
export async function copyOfContainer(
  cli: Cli,
  source: string,
  target: string,
  options: Options,
): Promise<boolean> {
  if (!isPlace(source) && !isPlace(target)) return false;
  const engine = await cli.engine();
  const to = await placeOf(engine, target);
  const from = await placeOf(engine, source);
  if (from !== undefined && to !== undefined)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'cp goes between a container and this machine; copy twice',
    );
  if (to !== undefined) await copyIn(cli, engine, source, to, options);
  else if (from !== undefined) await copyOut(cli, engine, from, target, options);
  else return false;
  return true;
}

/** A path of this machine begins with `/` or `.`, or has a slash before the first colon. */
const isPlace = (text: string): boolean => /^[^./:][^/:]*:/.test(text);

async function placeOf({ containers }: Engine, text: string): Promise<Place | undefined> {
  if (!isPlace(text)) return undefined;
  const at = text.indexOf(':');
  try {
    const { id } = await containers.get(text.slice(0, at));
    return { id, path: bytesOf(text.slice(at + 1).replace(/^\/*/, '/')) };
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

async function copyOut(
  cli: Cli,
  { containers }: Engine,
  { id, path }: Place,
  target: string,
  options: Options,
): Promise<void> {
  const { signal } = cli;
  if (target === '-' && cli.out.isTTY)
    throw new MicaError('INVALID_ARGUMENT', 'a tar archive is nothing for a terminal; redirect it');
  await containers.copyFrom(id, path, { follow: options.followLink }, async (source) => {
    if (target !== '-') return await placeHere(cli, source, target, options);
    for await (const chunk of source.archive({ signal })) await cli.out.write(chunk);
  });
}

async function placeHere(
  cli: Cli,
  source: Parameters<typeof placeInto>[2],
  target: string,
  { archive = false }: Options,
): Promise<void> {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  await placeInto('/', absolute(target), source, {
    ...(!archive && { owner: { uid, gid }, mask: 0o777 }),
    signal: cli.signal,
    onSkipped: skipped(cli),
  });
}

async function copyIn(
  cli: Cli,
  { containers }: Engine,
  source: string,
  { id, path }: Place,
  { archive = false, followLink }: Options,
): Promise<void> {
  const { signal } = cli;
  const owner = archive ? undefined : { uid: 0, gid: 0 };
  const options = { owner, signal, onSkipped: skipped(cli) };
  // An archive says whose its files are.
  if (source === '-')
    return await containers.extractTo(id, path, cli.stdin as Bytes, {
      ...options,
      owner: undefined,
    });
  await withCopySource('/', absolute(source), { follow: followLink }, (found) =>
    containers.copyTo(id, path, found, options),
  );
}

/** A trailing slash, or `/.`, means something. */
function absolute(path: string): string {
  const end = /(?:\/\.?|^\.)$/.exec(path)?.[0] ?? '';
  const tail = end === '.' ? '/.' : end;
  return bytesOf(resolve(path) + tail);
}

const skipped =
  (cli: Cli) =>
  (name: string): void =>
    void cli.err.stream.write(
      `mica: skipped ${escape(Buffer.from(name, 'latin1').toString())}: neither file, directory nor link\n`,
    );
