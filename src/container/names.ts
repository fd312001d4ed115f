import { randomInt } from 'node:crypto';
import { MicaError } from '../errors.ts';

const QUALITIES =
  `amber ancient autumn bold brave bright calm candid clear clever copper crisp curious dapper deft
eager early fair fleet gentle golden happy hardy honest humble jolly keen kind light lively lucid mellow merry mild
misty modest neat nimble noble patient plain polite proud quick quiet rapid rare ready robust rosy serene sharp shiny
silent silver simple smooth snowy sober solid spry steady still subtle sunny swift tidy tranquil vivid warm wise witty`.split(
    /\s+/,
  );

/** Minerals and rocks: what is made of layers. */
const STONES =
  `agate alabaster amethyst andesite apatite azurite barite basalt beryl biotite calcite chalk chert
cinnabar citrine cobalt coral corundum diamond diorite dolomite emerald epidote feldspar flint fluorite gabbro galena
garnet gneiss granite graphite gypsum halite hematite jade jasper kyanite lapis lazurite limestone magnetite malachite
marble mica mudstone obsidian olivine onyx opal pearl peridot porphyry pumice pyrite quartz rhyolite ruby sandstone
sapphire schist selenite serpentine shale slate spinel sulfur talc topaz tourmaline travertine turquoise zeolite zircon`.split(
    /\s+/,
  );

const pick = (words: readonly string[]): string => words[randomInt(words.length)]!;

/** A name that people can say. Somebody else may have it. */
export const randomName = (): string => `${pick(QUALITIES)}_${pick(STONES)}`;

/** docker's rule. @throws INVALID_ARGUMENT */
export function checkName(name: string): string {
  const plain = name.replace(/^\//, '');
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/.test(plain)) return plain;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(name)} is no name for a container: two or more of a-z, A-Z, 0-9, "_", "." and "-", beginning with a letter or digit`,
  );
}
