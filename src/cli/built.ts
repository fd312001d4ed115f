#!/usr/bin/env node
import { runProgram } from '../code/loader.ts';
import { commandWords } from './command-words.ts';

/** Where the program starts that was built, beside `main.ts` as one script with what that needs. */

const [purpose = 'mica'] = commandWords(process.argv.slice(2));
runProgram({ directory: import.meta.dirname, main: 'main.cjs', build: BUILD, purpose });
