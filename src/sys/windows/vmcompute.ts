import { basename } from 'node:path';
import { MicaError } from '../../errors.ts';
import { type Binding, foreignFunctions } from '../binding.ts';
import { checkResult } from './result.ts';

/**
 * Layers as the Host Compute Service keeps them. Parents are directories of layers, nearest first; a
 * layer is named by its directory.
 *
 * Written to the published prototypes of vmcompute.dll; no machine with Windows has run it.
 * @see https://learn.microsoft.com/en-us/virtualization/api/hcs/overview
 */
export interface LayerService {
  /** Makes the layer of a directory in the transport format. */
  importLayer(layer: string, transport: string, parents: readonly string[]): void;
  /** Writes what a sandbox has changed into a directory, in the transport format. */
  exportLayer(layer: string, transport: string, parents: readonly string[]): void;
  /** Makes a base layer, whose files are in place, ready for others to build on. */
  processBase(layer: string): void;
  processUtilityVm(directory: string): void;
  /** Makes a writable layer. */
  createSandbox(layer: string, parents: readonly string[]): void;
  /** @param size - in bytes */
  expandSandbox(layer: string, size: number): void;
  activate(layer: string): void;
  prepare(layer: string, parents: readonly string[]): void;
  /** Of a prepared one: the volume, `\\?\Volume{…}`. */
  mountPath(layer: string): string;
  unprepare(layer: string): void;
  deactivate(layer: string): void;
  destroy(layer: string): void;
}

let service: LayerService | undefined;

/** @throws NOT_IMPLEMENTED elsewhere than on Windows, and where it has no containers */
export function layerService(): LayerService {
  if (process.platform !== 'win32')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `layers of Windows images are mounted by Windows only, this is ${process.platform}; read them with mica ls, cat and cp`,
    );
  try {
    return (service ??= bindLayerService('vmcompute.dll'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `load vmcompute.dll: ${why}; turn on the Windows feature Containers`,
      { cause },
    );
  }
}

/** `FilterDriver` of the enumeration `GraphDriverType`; layers are named by whole paths, so there is no home. */
const DRIVER = { Flavour: 1, HomeDir: '' };

type Spec = Parameters<Binding['out']>[0];

/** The structures that the service takes. */
export function layerTypes(): Readonly<Record<'guid' | 'driver' | 'descriptor', Spec>> {
  const koffi = foreignFunctions();
  const guid = koffi.struct({
    Data1: 'uint32',
    Data2: 'uint16',
    Data3: 'uint16',
    Data4: koffi.array('uint8', 8),
  });
  const driver = koffi.struct({ Flavour: 'int32', HomeDir: 'str16' });
  const descriptor = koffi.struct({ LayerId: guid, Flags: 'uint32', Path: 'str16' });
  return { guid, driver, descriptor };
}

/** @param file - a library with the functions of vmcompute.dll */
export function bindLayerService(file: string): LayerService {
  const koffi = foreignFunctions();
  const library = koffi.load(file);
  const { guid, driver, descriptor } = layerTypes();
  const [info, descriptors] = [koffi.pointer(driver), koffi.pointer(descriptor)];
  const declare = (name: string, parameters: Spec[]): ((...given: unknown[]) => number) =>
    library.func('__stdcall', name, 'int32', parameters) as (...given: unknown[]) => number;
  const call = (
    name: string,
    ...parameters: Spec[]
  ): ((what: string, ...given: unknown[]) => void) => {
    const found = declare(name, parameters);
    return (what, ...given) => checkResult(`${name} ${what}`, found(...given));
  };
  const nameToGuid = call('NameToGuid', 'str16', koffi.out(koffi.pointer(guid)));

  /** A layer's identity is made of the name of its directory. */
  const described = (paths: readonly string[]): unknown[] =>
    paths.map((path) => {
      const id = {};
      nameToGuid(path, basename(path), id);
      return { LayerId: id, Flags: 0, Path: path };
    });
  const one = (name: string): ((layer: string) => void) => {
    const found = call(name, info, 'str16');
    return (layer) => found(layer, DRIVER, layer);
  };
  const moving = (name: string): LayerService['importLayer'] => {
    const found = call(name, info, 'str16', 'str16', descriptors, 'size_t');
    return (layer, transport, parents) =>
      found(layer, DRIVER, layer, transport, described(parents), parents.length);
  };
  const alone = (name: string): ((path: string) => void) => {
    const found = call(name, 'str16');
    return (path) => found(path, path);
  };
  const create = call('CreateSandboxLayer', info, 'str16', 'size_t', descriptors, 'size_t');
  const expand = call('ExpandSandboxSize', info, 'str16', 'uint64');
  const prepare = call('PrepareLayer', info, 'str16', descriptors, 'size_t');
  const place = call(
    'GetLayerMountPath',
    info,
    'str16',
    koffi.inout(koffi.pointer('size_t')),
    'void *',
  );

  return {
    importLayer: moving('ImportLayer'),
    exportLayer: moving('ExportLayer'),
    processBase: alone('ProcessBaseImage'),
    processUtilityVm: alone('ProcessUtilityImage'),
    createSandbox: (layer, parents) =>
      create(layer, DRIVER, layer, 0, described(parents), parents.length),
    expandSandbox: (layer, size) => expand(layer, DRIVER, layer, size),
    activate: one('ActivateLayer'),
    prepare: (layer, parents) => prepare(layer, DRIVER, layer, described(parents), parents.length),
    mountPath(layer) {
      // Asked twice: how long it is, in characters with the NUL, and what it is.
      const length = [0];
      place(layer, DRIVER, layer, length, null);
      const buffer = Buffer.alloc(Math.max(1, length[0]!) * 2);
      place(layer, DRIVER, layer, length, buffer);
      const text = buffer.toString('utf16le');
      const end = text.indexOf('\0');
      return end < 0 ? text : text.slice(0, end);
    },
    unprepare: one('UnprepareLayer'),
    deactivate: one('DeactivateLayer'),
    destroy: one('DestroyLayer'),
  };
}
