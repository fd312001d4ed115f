import { testSink, testTags } from '../testing/content.ts';
import { MemoryStore } from './memory-store.ts';

const suite = {
  name: 'memory store',
  open: async () => ({ store: new MemoryStore(), async [Symbol.asyncDispose]() {} }),
};

testSink(suite);
testTags(suite);
