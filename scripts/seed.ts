/**
 * Loaded before each file of `npm test`: fast-check draws the same cases in every run, so that what fails
 * is somebody's change, and not luck. `MICA_TEST_SEED=NUMBER` draws others, `random` others each time;
 * without this file (`node --test FILE`) they are random, too.
 */
import fc from 'fast-check';

const { MICA_TEST_SEED: wanted = '1' } = process.env;
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted) });
