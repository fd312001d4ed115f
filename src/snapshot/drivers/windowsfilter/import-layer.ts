import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { fromNode } from '../../../sys/errno.ts';
import { type WindowsFiles, windowsFiles } from '../../../sys/windows/kernel32.ts';
import { layerService } from '../../../sys/windows/vmcompute.ts';
import { ATTRIBUTES_SIZE, LAYER_FILES } from '../../../windows/layer-files.ts';
import { LayerFile } from '../../../windows/layer-file.ts';
import { type Link, linksOf } from '../../../windows/links.ts';
import { DIRECTORY_SUFFIX } from '../../../windows/names.ts';

/** What is read, and restored, at once. */
const CHUNK = 256 * 1024;
const DONE = 'imported';

/**
 * Makes of a layer's directory the layer that Windows works with, beside it; once, whoever asks. What a
 * crash cut short begins again. On Windows only, where nobody has tried it.
 *
 * @param to - the layer's new directory, whose name is its identity
 * @param parents - new directories of the layers below, nearest first
 */
export function importLayer(directory: string, to: string, parents: readonly string[]): void {
  const done = join(directory, DONE);
  try {
    if (existsSync(done)) return;
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to);
    const transport = join(directory, LAYER_FILES.transport);
    if (parents.length === 0) importBase(transport, to, linksOf(directory));
    else importUpper({ transport, to, parents, links: linksOf(directory) });
    writeFileSync(done, '');
  } catch (error) {
    throw fromNode(error);
  }
}

/** A base layer is files of NTFS: each is restored from its streams. */
function importBase(transport: string, to: string, links: readonly Link[]): void {
  const files = windowsFiles();
  files.takePrivileges();
  const linked = new Set(links.map(([path]) => textOf(path)));
  for (const area of ['Files', 'UtilityVM'])
    if (existsSync(join(transport, area))) restoreTree({ files, transport, to, linked }, area);
  mkdirSync(join(to, 'Hives'));
  const hives = join(transport, 'Hives');
  if (existsSync(hives))
    for (const name of readdirSync(hives)) copyFileSync(join(hives, name), join(to, 'Hives', name));
  for (const [path, target] of links) linkSync(join(to, textOf(target)), join(to, textOf(path)));
  layerService().processBase(to);
  if (existsSync(join(to, 'UtilityVM'))) layerService().processUtilityVm(join(to, 'UtilityVM'));
}

interface Restoring {
  readonly files: WindowsFiles;
  readonly transport: string;
  readonly to: string;
  /** Paths that become hard links. */
  readonly linked: ReadonlySet<string>;
}

function restoreTree(restoring: Restoring, path: string): void {
  const { files, transport, to, linked } = restoring;
  mkdirSync(join(to, path));
  for (const entry of readdirSync(join(transport, path), { withFileTypes: true })) {
    const child = `${path}/${entry.name}`;
    if (entry.name.endsWith(DIRECTORY_SUFFIX) || linked.has(child)) continue;
    if (entry.isDirectory()) restoreTree(restoring, child);
    else restore(files, { transport, to, path: child, isDirectory: false });
  }
  // Last, because what comes into a directory changes its times.
  restore(files, { transport, to, path, isDirectory: true });
}

function restore(
  files: WindowsFiles,
  {
    transport,
    to,
    path,
    isDirectory,
  }: { transport: string; to: string; path: string; isDirectory: boolean },
): void {
  const own = isDirectory ? path + DIRECTORY_SUFFIX : path;
  using file = new LayerFile(transport, Buffer.from(own).toString('latin1'));
  const { mtimeNs } = statSync(join(transport, own), { bigint: true });
  const { attributes } = file;
  const streams = restOf(file);
  files.restore(`\\\\?\\${join(to, path)}`, { attributes, mtimeNs, isDirectory, streams });
}

function* restOf(file: LayerFile): Generator<Buffer> {
  for (let at = ATTRIBUTES_SIZE; at < file.size; at += CHUNK) {
    const bytes = Buffer.alloc(Math.min(CHUNK, file.size - at));
    file.read(bytes, at);
    yield bytes;
  }
}

interface Upper {
  readonly transport: string;
  readonly to: string;
  readonly parents: readonly string[];
  readonly links: readonly Link[];
}

function importUpper({ transport, to, parents, links }: Upper): void {
  if (existsSync(join(transport, 'UtilityVM')))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `${transport} changes the utility VM of its base, which is not imported`,
    );
  layerService().importLayer(to, transport, parents);
  for (const [path, target] of links) {
    const [name, wanted] = [textOf(path), textOf(target)];
    const from = [to, ...parents].map((layer) => join(layer, wanted)).find(existsSync);
    if (from === undefined)
      throw new MicaError('DATA_LOSS', `${name} is a hard link to ${wanted}, which no layer has`);
    rmSync(join(to, name), { force: true });
    linkSync(from, join(to, name));
  }
}

const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();
