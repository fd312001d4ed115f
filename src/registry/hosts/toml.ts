import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { MicaError } from '../../errors.ts';

/** Reads a TOML file of another program's; keys that its schema does not name are ignored. `undefined`: there is none. */
export async function readToml<Output>(
  path: string,
  schema: v.GenericSchema<unknown, Output>,
): Promise<Output | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new MicaError('FAILED_PRECONDITION', `${path} cannot be read: ${message}`, { cause });
  }
  return parseToml(path, text, schema);
}

export async function parseToml<Output>(
  path: string,
  text: string,
  schema: v.GenericSchema<unknown, Output>,
): Promise<Output> {
  const { parse } = await import('smol-toml');
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const [message = ''] = (cause as Error).message.split('\n');
    throw new MicaError('FAILED_PRECONDITION', `${path}: ${message}`, { cause });
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new MicaError('FAILED_PRECONDITION', `${path}: ${v.getDotPath(issue)}: ${issue.message}`);
}
