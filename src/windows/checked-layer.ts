import type { Bytes } from '../io/bytes.ts';
import { TarReader } from '../tar/read.ts';
import { LayerRules, type LayerRulesOptions } from './layer-rules.ts';

/**
 * The same archive, looked at while it passes.
 * @throws INVALID_ARGUMENT when it is no layer that Windows takes
 */
export async function* checkedLayer(tar: Bytes, options: LayerRulesOptions): Bytes {
  const rules = new LayerRules(options);
  const reader = new TarReader({
    entry: (entry) => void rules.accept(entry),
    data() {},
    end() {},
  });
  for await (const chunk of tar) {
    reader.write(chunk);
    yield chunk;
  }
  reader.end();
  rules.finish();
}
