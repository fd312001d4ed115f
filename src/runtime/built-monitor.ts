import { runProgram } from '../code/loader.ts';

/** Where the monitor starts that was built. */

runProgram({ directory: import.meta.dirname, main: 'watch.cjs', build: BUILD, purpose: 'monitor' });
