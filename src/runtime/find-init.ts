import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { programsOf } from './find.ts';

/** Where distributions keep what is no command of a user's. */
const PLACES = ['/usr/libexec/docker', '/usr/libexec/podman', '/usr/lib/podman', '/usr/lib/docker'];
const NAMES = ['docker-init', 'tini-static', 'tini', 'catatonit'];

/**
 * A program of this machine that a container can begin with: it starts what is named after `--`, hands on signals and
 * buries processes. It must need no libraries, which are the image's there.
 *
 * @throws FAILED_PRECONDITION when there is none
 */
export function findInit(searchPath: string): string {
  const path = [searchPath, ...PLACES].join(':');
  for (const program of NAMES.flatMap((name) => programsOf(name, path)))
    if (isReadable(program) && isStatic(program)) return program;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `--init needs a program that was linked statically, ${NAMES.join(', ')}, and none is in $PATH; install catatonit, or tini`,
  );
}

/** A program may be there to be executed only. */
function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

const PT_INTERP = 3;
/** Bytes of a program header of 64 bits. */
const SEGMENT = 56;

/** An ELF file, of 64 bits as the machines that Mica runs on, that asks for no loader. */
function isStatic(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(64);
    if (readSync(fd, head, 0, 64, 0) < 64 || head.readUInt32BE(0) !== 0x7f454c46) return false;
    if (head[4] !== 2 || head[5] !== 1) return false;
    const [size, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
    if (size !== SEGMENT) return false;
    const table = Buffer.alloc(size * count);
    const offset = Number(head.readBigUInt64LE(32));
    if (readSync(fd, table, 0, table.length, offset) < table.length) return false;
    return !Array.from({ length: count }, (_, at) => table.readUInt32LE(at * size)).includes(
      PT_INTERP,
    );
  } finally {
    closeSync(fd);
  }
}
